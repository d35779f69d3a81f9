"""Rosters: what a gateway is told of the devices that it speaks for. Pure.

Listed is whoever the gateway speaks for now or will: an ended delegation lets the readings of before pass, but its
meter has no business at this gateway any more. A decommissioned device has none at any.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ringmain.model.device import Device, LifecycleState
from ringmain.model.gateway import Roster, RosterEntry, verifier
from ringmain.model.ids import DeviceKey
from ringmain.model.standing import ALWAYS, Standing

Listed = tuple[Standing, tuple[int, int]]
"""Who is on a roster, and for which span."""


def listed(standings: Iterable[Standing], now_ms: int) -> list[Listed]:
    """Who belongs on the roster, in the order of keys, each with the span that holds now or is next."""
    found = [(standing, span) for standing in standings if (span := span_of(standing, now_ms))]
    return sorted(found, key=lambda each: each[0].device.key)


def span_of(standing: Standing, now_ms: int) -> tuple[int, int] | None:
    """The span that holds now or is next; None where there is none, and of a device that has no business anywhere."""
    if standing.device.state is LifecycleState.DECOMMISSIONED:
        return None
    return next((span for span in standing.spans if span[1] > now_ms), None)


def entries_of(salt: bytes, those: Sequence[Listed], secrets: Mapping[DeviceKey, Sequence[bytes]]) -> list[RosterEntry]:
    """The entries of those `listed`. `secrets` are the SHA-256 of their tokens in force."""
    return [
        RosterEntry(
            key=it.device.key,
            id=it.device.id,
            profile=it.device.profile,
            state=it.device.state,
            state_since_ms=it.device.state_since_ms,
            verifiers=tuple(sorted(verifier(salt, secret) for secret in secrets.get(it.device.key, ()))),
            from_ms=begin,
            to_ms=None if end >= ALWAYS[1] else end,
        )
        for it, (begin, end) in those
    ]


def roster_of(gateway: Device, salt: bytes, those: Sequence[Listed], entries: Sequence[RosterEntry]) -> Roster:
    """The roster with all entries of those `listed`, without its version."""
    profiles = {it.profile.name: it.profile for it, _ in those}
    named = tuple(profiles[name] for name in sorted(profiles))
    return Roster(0, gateway.tenant, gateway.id, salt, named, tuple(entries))


def content_of(roster: Roster) -> bytes:
    """The same 32 bytes for the same content, whatever its version: what tells a new roster from an old one."""
    return hashlib.sha256(msgspec.msgpack.encode(msgspec.structs.replace(roster, version=0))).digest()
