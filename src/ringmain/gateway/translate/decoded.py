"""Decoded telemetry: what devices say in topics and payloads of their own, by the decoder that their profile names.

A decoder may say that a payload is another device's, as that of a bridge is: then that device has to be delegated to
the one that signed in, for that time, and its own lifecycle and profile decide, as with a gateway's chunks. What is
refused is counted on the device that is named (on the bridge where the tenant has none of that name); what can not be
read is a dead letter of the bridge, who said it, so that it can be replayed as it came.
"""

from collections.abc import Sequence
from typing import Protocol

from ringmain.gateway.columns import Lane, Lanes, OpenBatch
from ringmain.gateway.translate.decoder_read import Read
from ringmain.gateway.translate.placing import Arrivals, place, rows_of
from ringmain.gateway.translate.samples import PayloadRefused
from ringmain.gateway.translate.speaking import Delegates, Nobody, OnSeen, device_id_of, refusal
from ringmain.gateway.translate.telemetry import NOT_DECODED, letter_of
from ringmain.model.batch import DeadLetter
from ringmain.model.device import PERMISSIONS, Device, Telemetry
from ringmain.model.standing import Standing


class Decoder(Protocol):
    """Reads what one kind of device says in topics of its own: `decoder_read.Decoder`."""

    def read(self, topic: str, payload: bytes) -> Read:
        """What one payload says."""
        ...


class Decoders(Protocol):
    """Decoders by the name that profiles give them: `decoder_files.Decoders`, where there is YAML."""

    def named(self, name: str) -> Decoder | None:
        """The decoder of that name, if there is one that can be used."""
        ...

    def takes(self, name: str, topic: str) -> bool:
        """Whether it has a filter for the topic."""
        ...


class DecodedTelemetry:
    """Translates what decoders read, for all devices. `arrivals` are those of the other telemetry."""

    def __init__(
        self, arrivals: Arrivals, lanes: Lanes, delegates: Delegates | None = None, on_seen: OnSeen | None = None
    ) -> None:
        self._arrivals = arrivals
        self._lanes = lanes
        self._delegates = delegates or Nobody()
        self._on_seen = on_seen or (lambda _gateway, _standings: None)

    def translate(
        self,
        batch: OpenBatch,
        lane: Lane,
        device: Device,
        payloads: Sequence[bytes],
        door: str,
        topic: str,
        decoder: Decoder,
    ) -> list[DeadLetter]:
        """Put the readings of `payloads` into `batch`; returns the dead letters among them, also in `batch`."""
        dead: list[DeadLetter] = []
        seen: dict[str, Standing] = {}
        for payload in payloads:
            batch.messages += 1
            batch.payload_bytes += len(payload)
            try:
                read = decoder.read(topic, payload)
                if read.device:
                    self._of_another(batch, device, read, seen)
                elif read.sample is not None:
                    rows = rows_of(lane, device.key, (read.sample,), self._arrivals, batch.received_ms)
                    place(batch, lane, device.key, rows)
            except NOT_DECODED as error:
                dead.append(letter_of(error, batch, device, payload, door, topic))
        if seen:
            self._on_seen(device, list(seen.values()))
        batch.dead_letters.extend(dead)
        return dead

    def _of_another(self, batch: OpenBatch, gateway: Device, read: Read, seen: dict[str, Standing]) -> None:
        """Readings of a device that the one who signed in speaks for, or does not."""
        id = device_id_of(read.device)
        if id is None:
            raise PayloadRefused(f"{read.device[:80]!r} can not be the id of a device")
        standing = self._delegates.of(gateway.key).get(id)
        if read.sample is None:
            return
        at_ms = batch.received_ms if read.sample.at_ms is None else read.sample.at_ms
        reason = refusal(standing, at_ms)
        if standing is None or reason:
            key = standing.device.key if standing else self._delegates.key_of(gateway.tenant, id) or gateway.key
            batch.reject(key, reason, len(read.sample.values))
            return
        lane, key = self._lane(standing), standing.device.key
        place(batch, lane, key, rows_of(lane, key, (read.sample,), self._arrivals, batch.received_ms))
        seen[id] = standing

    def _lane(self, standing: Standing) -> Lane:
        device = standing.device
        quarantined = PERMISSIONS[device.state].telemetry is Telemetry.QUARANTINED
        return self._lanes.of(device.tenant, standing.profile, quarantined=quarantined)
