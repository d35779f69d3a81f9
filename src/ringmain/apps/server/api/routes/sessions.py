"""Sessions: is the device there?"""

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import Call, Route
from ringmain.apps.server.api.routes.devices import DeviceParams
from ringmain.apps.server.api.scope import device_of
from ringmain.apps.server.api.words import Timestamp
from ringmain.model.session import SessionState
from ringmain.model.time import format_rfc3339


class SessionAnswer(msgspec.Struct, frozen=True):
    """What is known of a device's presence, over all protocols. Times are null where there has been none."""

    state: SessionState
    epoch: int
    protocol: str
    peer: str
    connected_at: Timestamp | None
    last_seen_at: Timestamp | None
    expected_by: Timestamp | None
    expected_interval_s: int


async def get_session(context: Context, call: Call[DeviceParams, None]) -> SessionAnswer:
    """`stale` missed its expected report; `sleeping` announced that it would be away."""
    device = await device_of(context, call.caller, call.params.id)
    session = context.sessions.get(device.key)
    return SessionAnswer(
        session.state,
        session.epoch,
        session.protocol,
        session.peer,
        _time(session.connected_ms),
        _time(session.last_seen_ms),
        _time(session.expected_by_ms),
        session.expected_interval_s,
    )


def _time(at_ms: int) -> str | None:
    return format_rfc3339(at_ms) if at_ms else None


ROUTES = (
    Route(
        "GET",
        "/api/v1/devices/{id}/session",
        get_session,
        "Show whether a device is there",
        "Devices",
        SessionAnswer,
        params=DeviceParams,
        problems=("not_found",),
    ),
)
