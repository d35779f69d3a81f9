"""Telemetry: the declaration of a door that another app serves, so that one document describes the whole surface.

The handler never runs: `POST /api/v1/telemetry` is a bare ASGI app that stands in front, because it is the hot path.
"""

from typing import Any

import msgspec

from ringmain.apps.server.api.context import Context, Intake
from ringmain.apps.server.api.kit.declaration import Call, Route
from ringmain.apps.server.api.kit.problems import Rejected
from ringmain.ports.credentials import Role

PATH = "/api/v1/telemetry"


class TelemetryAnswer(Intake, frozen=True):
    """What became of the readings; `reason` and `detail` say why some were not accepted."""

    reason: str = ""
    detail: str = ""


async def post_telemetry(_context: Context, _call: Call[msgspec.Struct, Any]) -> Intake:
    """With the device's own token. `{"ts": ms, "values": {"channel": number}}`, a plain `{"channel": number}`, or a
    list of either. The answer leaves after the readings are durable; what could not be decoded is kept as a dead
    letter and counted.
    """
    raise Rejected("unavailable", "Telemetry is served by an app of its own.", "Ask the door, not the API.")


TELEMETRY = Route(
    "POST",
    PATH,
    post_telemetry,
    "Send readings",
    "Telemetry",
    TelemetryAnswer,
    Role.VIEWER,
    body=msgspec.Raw,
    body_example=[{"ts": 1356998400000, "values": {"energy_wh": 210}}],
    problems=("device_suspended", "device_not_active", "too_many_requests", "storage_full"),
    scheme="device",
)
