"""What a platform's answer to a message means for who sent it. Pure."""

from ringmain.model.errors import Failed, Refused
from ringmain.protocols.mqtt.client_events import Acknowledged
from ringmain.protocols.mqtt.reasons import Reason

AGAIN = frozenset({Reason.UNSPECIFIED, Reason.IMPLEMENTATION_SPECIFIC, Reason.QUOTA_EXCEEDED})
"""Refusals of a message that may be another answer a moment later."""


def refusal_of(event: Acknowledged) -> Failed | Refused | None:
    """None where the platform answers for the message from here on."""
    if event.reason < 0x80:
        return None
    if event.reason in AGAIN:
        return Failed("storage_full", event.detail or "the platform takes nothing now", "it is kept")
    code = "not_authorized" if event.reason is Reason.NOT_AUTHORIZED else "invalid_request"
    detail = event.detail or f"the platform refused it (0x{event.reason:02x})"
    return Refused(code, detail, "look at the gateway on the platform")
