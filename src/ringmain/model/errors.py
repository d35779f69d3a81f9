"""One table of errors for every protocol: a stable code, and what each door answers with it.

`Refused` is the peer's fault, `Failed` is ours. Both carry what happened (`detail`) and what to do next (`hint`).
The numbers come from MQTT 5 §2.4, RFC 7252 §12.1.2, RFC 9110 §15 and AMQP 1.0 §2.8.15-16.
"""

import msgspec


class ErrorCode(msgspec.Struct, frozen=True):
    """One row: the stable code, a title for people, and the answer of each protocol."""

    code: str
    title: str
    mqtt_reason: int
    coap: str
    http_status: int
    amqp: str


_ROWS = (
    ErrorCode("malformed_packet", "Malformed packet", 0x81, "4.00", 400, "amqp:decode-error"),
    ErrorCode("protocol_error", "Protocol error", 0x82, "4.00", 400, "amqp:illegal-state"),
    ErrorCode("invalid_request", "Invalid request", 0x83, "4.00", 400, "amqp:invalid-field"),
    ErrorCode("unprocessable", "Request understood but not acceptable", 0x83, "4.22", 422, "amqp:invalid-field"),
    ErrorCode("unsupported_version", "Unsupported protocol version", 0x84, "4.00", 400, "amqp:not-implemented"),
    ErrorCode("bad_credentials", "Unknown or wrong credentials", 0x86, "4.01", 401, "amqp:unauthorized-access"),
    ErrorCode("not_authorized", "Not authorised", 0x87, "4.03", 403, "amqp:unauthorized-access"),
    ErrorCode("device_suspended", "Device is suspended", 0x87, "4.03", 403, "amqp:unauthorized-access"),
    ErrorCode("device_not_active", "Device is not active", 0x87, "4.03", 403, "amqp:unauthorized-access"),
    ErrorCode("foreign_device", "Not allowed to speak for that device", 0x87, "4.03", 403, "amqp:unauthorized-access"),
    ErrorCode(
        "not_delegated", "Device is not delegated to this gateway", 0x87, "4.03", 403, "amqp:unauthorized-access"
    ),
    ErrorCode("unknown_topic", "No such topic on this platform", 0x90, "4.04", 404, "amqp:not-found"),
    ErrorCode("undecodable_payload", "Payload could not be decoded", 0x99, "4.00", 422, "amqp:decode-error"),
    ErrorCode("receive_maximum", "Too many messages in flight", 0x93, "4.29", 429, "amqp:resource-limit-exceeded"),
    ErrorCode("too_large", "Larger than the limit", 0x95, "4.13", 413, "amqp:link:message-size-exceeded"),
    ErrorCode("too_many_requests", "Rate limit reached", 0x96, "4.29", 429, "amqp:resource-limit-exceeded"),
    ErrorCode("storage_full", "No room left to store it", 0x97, "5.03", 507, "amqp:resource-limit-exceeded"),
    ErrorCode("storage_failed", "Could not be stored durably", 0x97, "5.03", 503, "amqp:internal-error"),
    ErrorCode("not_supported", "Not supported", 0x9B, "5.01", 501, "amqp:not-implemented"),
    ErrorCode("not_found", "Not found", 0x90, "4.04", 404, "amqp:not-found"),
    ErrorCode("method_not_allowed", "Method not allowed", 0x83, "4.05", 405, "amqp:not-allowed"),
    ErrorCode("unsupported_media", "Unsupported content type", 0x99, "4.15", 415, "amqp:not-implemented"),
    ErrorCode("already_exists", "Already exists", 0x83, "4.09", 409, "amqp:resource-locked"),
    ErrorCode("invalid_transition", "Not possible in this state", 0x83, "4.09", 409, "amqp:illegal-state"),
    ErrorCode("shutting_down", "Shutting down", 0x8B, "5.03", 503, "amqp:connection:forced"),
    ErrorCode("unavailable", "Temporarily unavailable", 0x88, "5.03", 503, "amqp:internal-error"),
    ErrorCode("internal", "Internal error", 0x80, "5.00", 500, "amqp:internal-error"),
)

ERRORS: dict[str, ErrorCode] = {row.code: row for row in _ROWS}


class RingmainError(Exception):
    """A failure with a stable code. `detail` says what happened and what was kept, `hint` what to do next."""

    def __init__(self, code: str, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.error = ERRORS[code]
        self.detail = detail
        self.hint = hint

    @property
    def code(self) -> str:
        return self.error.code


class Refused(RingmainError):
    """The peer asked for something it may not have, or said something that cannot be understood."""


class Failed(RingmainError):
    """We could not do what we should have done."""
