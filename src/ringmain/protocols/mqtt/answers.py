"""Packets that a server writes, for 3.1 and 3.1.1 (up to level 4) and 5.0 (level 5).

Pure functions to bytes. They write what they are told: that a code or a property may stand where it does, and that
3.1.1 has words for it at all, is decided here and nowhere else.
"""

from collections.abc import Sequence

from ringmain.protocols.mqtt import properties, wire
from ringmain.protocols.mqtt.packets import CONNACK, DISCONNECT, PUBLISH, PUBREL, SUBACK, UNSUBACK
from ringmain.protocols.mqtt.properties import Properties, Property
from ringmain.protocols.mqtt.reasons import CONNACK_311, NOT_IN_CONNACK, NOT_IN_DISCONNECT, Reason

PINGRESP_BYTES = b"\xd0\x00"


def write_connack(
    level: int, reason: Reason, found: Properties = properties.NONE, *, session_present: bool = False
) -> bytes | None:
    """CONNACK (§3.2); None where 3.1.1 has no code for the reason: just close."""
    present = session_present and not reason
    if level == 5:
        code = NOT_IN_CONNACK.get(reason, reason)
        return wire.packet(CONNACK << 4, bytes((present, code)) + properties.encode(found))
    refusal = CONNACK_311.get(reason)
    return None if refusal is None else bytes((CONNACK << 4, 2, present, refusal))


def write_pubacks(level: int, identifiers: Sequence[bytes], reason: Reason = Reason.SUCCESS) -> bytes:
    """PUBACKs for raw two-byte identifiers, all with one reason (§3.4). 3.1.1 knows no other than success."""
    if level == 5 and reason:
        tail = bytes((reason,))
        return b"".join([b"\x40\x03" + identifier + tail for identifier in identifiers])
    return b"\x40\x02" + b"\x40\x02".join(identifiers) if identifiers else b""


def write_acknowledgement(kind: int, level: int, identifier: bytes, reason: int = 0) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP for a raw identifier (§3.4 to §3.7)."""
    first = kind << 4 | (2 if kind == PUBREL else 0)
    if level == 5 and reason:
        return bytes((first, 3)) + identifier + bytes((reason,))
    return bytes((first, 2)) + identifier


def write_suback(level: int, identifier: int, reasons: Sequence[int]) -> bytes:
    """SUBACK (§3.9): one code a filter, in order; 3.1.1 says 0x80 for every refusal."""
    codes = bytes(reasons) if level == 5 else bytes(min(code, 0x80) for code in reasons)
    return wire.packet(SUBACK << 4, identifier.to_bytes(2, "big") + (b"\0" if level == 5 else b"") + codes)


def write_unsuback(level: int, identifier: int, reasons: Sequence[int]) -> bytes:
    """UNSUBACK (§3.11); 3.1.1 carries no codes."""
    tail = b"\0" + bytes(reasons) if level == 5 else b""
    return wire.packet(UNSUBACK << 4, identifier.to_bytes(2, "big") + tail)


def write_publish(
    level: int,
    topic: str,
    payload: bytes,
    qos: int,
    identifier: int,
    found: Properties = properties.NONE,
    *,
    retain: bool = False,
    dup: bool = False,
) -> bytes:
    """PUBLISH from the server (§3.3); `identifier` counts at QoS 1 and 2 only, properties in MQTT 5 only."""
    body = wire.text(topic) + (identifier.to_bytes(2, "big") if qos else b"")
    if level == 5:
        body += properties.encode(found) if found else b"\0"
    return wire.packet(PUBLISH << 4 | dup << 3 | qos << 1 | retain, body + payload)


def write_disconnect(reason: Reason, explanation: str = "", server_reference: str = "") -> bytes:
    """DISCONNECT from the server, which only MQTT 5 has (§3.14). The reason string is for people; the reference is
    another server, for those two reasons that ask to use it.
    """
    found: dict[Property, properties.Value] = {Property.REASON_STRING: explanation} if explanation else {}
    if server_reference and reason in (Reason.USE_ANOTHER_SERVER, Reason.SERVER_MOVED):
        found[Property.SERVER_REFERENCE] = server_reference
    code = bytes((NOT_IN_DISCONNECT.get(reason, reason),))
    return wire.packet(DISCONNECT << 4, code + (properties.encode(found) if found else b""))
