"""Reports: what an edge gateway says of itself, as JSON. It is no telemetry: it has no history, the newest stands."""

from collections.abc import Callable, Sequence

import msgspec

from ringmain.gateway.columns import OpenBatch
from ringmain.model.batch import DeadLetter
from ringmain.model.device import Device
from ringmain.model.gateway import GatewayReport
from ringmain.model.time import INSTANT_MAX

REPORT_BYTES_MAX = 64 * 1024
"""A report has some 600 bytes, and 50 more for each reason in its books."""

_decode = msgspec.json.Decoder(GatewayReport).decode
_UINT64_MAX = (1 << 64) - 1


class GatewayReports:
    """Translates the reports of all gateways."""

    def __init__(self, on_report: Callable[[Device, GatewayReport], None]) -> None:
        self._on_report = on_report

    def translate(
        self, batch: OpenBatch, gateway: Device, payloads: Sequence[bytes], door: str, topic: str
    ) -> list[DeadLetter]:
        """Hand on the newest report; those that can not be read are dead letters of the gateway, also in `batch`."""
        dead: list[DeadLetter] = []
        newest: GatewayReport | None = None
        for payload in payloads:
            batch.messages += 1
            try:
                newest = read_report(payload)
            except ValueError as error:
                batch.payload_bytes += len(payload)
                detail = str(error)[:500]
                dead.append(
                    DeadLetter(gateway.key, batch.received_ms, door, topic, payload, "undecodable_payload", detail)
                )
        if newest is not None:
            self._on_report(gateway, newest)
        batch.dead_letters.extend(dead)
        return dead


def read_report(payload: bytes) -> GatewayReport:
    """A report whose numbers can all be told on. ValueError with the reason where it is none."""
    if len(payload) > REPORT_BYTES_MAX:
        raise ValueError(f"a report of {len(payload)} bytes, at most {REPORT_BYTES_MAX}")
    try:
        report = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a report: {error}") from error
    for name in ("at_ms", "started_ms", "uplink_since_ms"):
        if not 0 <= getattr(report, name) <= INSTANT_MAX:
            raise ValueError(f"{name} is no time")
    whole = [value for value in msgspec.structs.astuple(report) if isinstance(value, int)]
    if any(not 0 <= value <= _UINT64_MAX for value in (*whole, *(each.count for each in report.books))):
        raise ValueError("a number below 0 or beyond 64 bits")
    return report
