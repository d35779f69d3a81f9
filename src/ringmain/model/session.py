"""Sessions: is the device there? One per device over all protocols, on an axis of its own beside the lifecycle."""

from enum import StrEnum

import msgspec

from ringmain.model.ids import DeviceKey


class SessionState(StrEnum):
    """`STALE` missed its expected report; `SLEEPING` announced that it would be away."""

    NEVER_SEEN = "never_seen"
    ONLINE = "online"
    SLEEPING = "sleeping"
    STALE = "stale"
    OFFLINE = "offline"


class SessionEvent(StrEnum):
    """What moves a session. A disconnect is not activity; one of an older epoch is ignored."""

    ACTIVITY = "activity"
    SLEEP = "sleep"
    MISSED = "missed"
    DISCONNECT = "disconnect"
    LOST = "lost"


_S, _E = SessionState, SessionEvent
SESSIONS: dict[tuple[SessionState, SessionEvent], SessionState] = {
    (_S.NEVER_SEEN, _E.ACTIVITY): _S.ONLINE,
    (_S.ONLINE, _E.ACTIVITY): _S.ONLINE,
    (_S.SLEEPING, _E.ACTIVITY): _S.ONLINE,
    (_S.STALE, _E.ACTIVITY): _S.ONLINE,
    (_S.OFFLINE, _E.ACTIVITY): _S.ONLINE,
    (_S.ONLINE, _E.SLEEP): _S.SLEEPING,
    (_S.STALE, _E.SLEEP): _S.SLEEPING,
    (_S.SLEEPING, _E.SLEEP): _S.SLEEPING,
    (_S.ONLINE, _E.MISSED): _S.STALE,
    (_S.SLEEPING, _E.MISSED): _S.STALE,
    (_S.ONLINE, _E.DISCONNECT): _S.OFFLINE,
    (_S.STALE, _E.DISCONNECT): _S.OFFLINE,
    (_S.SLEEPING, _E.DISCONNECT): _S.SLEEPING,
    (_S.STALE, _E.LOST): _S.OFFLINE,
}


class Session(msgspec.Struct, frozen=True):
    """What is known of a device's presence. `epoch` only grows; a late disconnect of an older one is void.
    `expected_by_ms` is when its silence will next be noticed, counted from its `expected_interval_s`.
    """

    device: DeviceKey
    state: SessionState
    epoch: int
    protocol: str
    peer: str
    connected_ms: int
    last_seen_ms: int
    expected_by_ms: int
    expected_interval_s: int = 60
