"""The last packet of a connection: what a client's DISCONNECT means (§3.14), and what the server says before it closes.

A peer that has not been let in hears a CONNACK, one of MQTT 5 a DISCONNECT, and one of 3.1.1 nothing (§4.13).
"""

from ringmain.protocols.mqtt import answers, packets
from ringmain.protocols.mqtt.events import Closed
from ringmain.protocols.mqtt.handshake import number_of
from ringmain.protocols.mqtt.packets import Connect
from ringmain.protocols.mqtt.properties import NONE, Properties, Property
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason

EXPLANATION_MAX = 200
"""Characters of a reason string: it is for people who read a log."""

_ELSEWHERE = (Reason.USE_ANOTHER_SERVER, Reason.SERVER_MOVED)

_DISCONNECT_REASONS = frozenset(
    {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99}
)  # fmt: skip
"""What a client may say with its DISCONNECT (§3.14.2.1)."""


def disconnected(body: bytes, level: int, connect: Connect | None) -> Closed:
    """A client says goodbye; a violation where it may not say it so. With a reason that no client has it is gone all
    the same, and hears nothing more.
    """
    reason, found = packets.read_disconnect(body, level)
    if reason not in _DISCONNECT_REASONS:
        detail = f"disconnected with reason 0x{reason:02x}, which no client has [MQTT-3.14.2-1]"
        return Closed(Reason.PROTOCOL_ERROR, detail, by_peer=False, publish_will=True)
    expiry = found.get(Property.SESSION_EXPIRY)
    if expiry and not number_of(connect, Property.SESSION_EXPIRY, 0):
        raise ProtocolViolation(Reason.PROTOCOL_ERROR, "session expiry was 0 and may not be set", "MQTT-3.14.2.2.2")
    return Closed(
        Reason.SUCCESS,
        "disconnected" if not reason else f"disconnected with reason 0x{reason:02x}",
        by_peer=True,
        publish_will=reason != 0,
        session_expiry_s=expiry if isinstance(expiry, int) else None,
    )


def goodbye(reason: Reason, explanation: str, server_reference: str, bytes_max: int) -> bytes:
    """DISCONNECT of MQTT 5, without the explanation where it makes the packet too large for the peer, and nothing
    where that is too large too [MQTT-3.14.2-3] [MQTT-3.1.2-24].
    """
    for words in (explanation[:EXPLANATION_MAX], ""):
        data = answers.write_disconnect(reason, words, server_reference)
        if len(data) <= bytes_max:
            return data
    return b""


def refusal(level: int, reason: Reason, server_reference: str) -> bytes:
    """CONNACK for who is not let in; nothing where 3.1.1 has no code."""
    found: Properties = NONE
    if level == 5 and server_reference and reason in _ELSEWHERE:
        found = {Property.SERVER_REFERENCE: server_reference}
    return answers.write_connack(level, reason, found) or b""
