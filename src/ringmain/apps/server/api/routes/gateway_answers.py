"""What the API tells of gateways: answers, and how they are made of what is in memory."""

from typing import Any

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.words import Timestamp
from ringmain.model.device import Device, LifecycleState
from ringmain.model.gateway import Count, GatewaySettings, SettingsState, VersionedSettings
from ringmain.model.session import SessionState
from ringmain.model.standing import ALWAYS, Standing
from ringmain.model.time import format_rfc3339
from ringmain.services.gateways.documents import Reported
from ringmain.services.gateways.roster import span_of


class ReportSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway last said of itself, in short."""

    received_at: Timestamp
    version: str
    settings_version: int
    settings_state: SettingsState
    roster_version: int
    meters_connected: int
    buffered_readings: int
    backlog_readings: int
    drain_s: float | None


class ReportAnswer(ReportSummary, frozen=True, kw_only=True):
    """All of it. `books` count readings since its buffer was made."""

    at: Timestamp
    started_at: Timestamp
    settings_detail: str
    meters_known: int
    uplink: str
    uplink_since: Timestamp
    uplink_connections: int
    buffered_bytes: int
    file_bytes: int
    in_flight: int
    backlog_bytes: int
    books: tuple[Count, ...]


class GatewaySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway: its lifecycle, whether it is there, for how many devices it speaks now, and the versions of what is
    to be in force there. `report` is null while it has said nothing.
    """

    id: str
    state: LifecycleState
    session: SessionState
    delegated: int
    settings_version: int
    roster_version: int
    report: ReportSummary | None


class GatewayAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway with all of its last report."""

    id: str
    state: LifecycleState
    session: SessionState
    delegated: int
    settings_version: int
    roster_version: int
    report: ReportAnswer | None


class Delegated(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A device and the event times for which the gateway speaks for it: `from` null is whatever the stamp, `to` null
    until further notice.
    """

    device: str
    state: LifecycleState
    from_: Timestamp | None
    to: Timestamp | None


class SettingsAnswer(msgspec.Struct, frozen=True):
    """The newest settings and their version. `in_force` is the version that the gateway last said it has, and
    `in_force_state` and `detail` how that stands; null while it has said nothing.
    """

    version: int
    settings: GatewaySettings
    in_force: int | None
    in_force_state: SettingsState | None
    detail: str


class SettingsVersion(msgspec.Struct, frozen=True):
    """One version, as it was given."""

    version: int
    given_at: Timestamp
    settings: msgspec.Raw


def gateway_summary(context: Context, gateway: Device) -> GatewaySummary:
    """The gateway as it now is."""
    reported = context.gateways.documents.report(gateway.key)
    return GatewaySummary(**_common(context, gateway), report=_short(reported) if reported else None)


def gateway_answer(context: Context, gateway: Device) -> GatewayAnswer:
    """The gateway as it now is, with all that it said."""
    reported = context.gateways.documents.report(gateway.key)
    return GatewayAnswer(**_common(context, gateway), report=_long(reported) if reported else None)


def _common(context: Context, gateway: Device) -> dict[str, Any]:
    documents, standings = context.gateways.documents, context.gateways.standings.of(gateway.key)
    settings, now_ms = documents.settings(gateway.key), context.clock.now_ms()
    return {
        "id": gateway.id,
        "state": gateway.state,
        "session": context.sessions.get(gateway.key).state,
        "delegated": sum(span_of(standing, now_ms) is not None for standing in standings.values()),
        "settings_version": settings.version if settings else 0,
        "roster_version": documents.roster_version(gateway.key),
    }


def _short(reported: Reported) -> ReportSummary:
    report = reported.report
    return ReportSummary(
        received_at=format_rfc3339(reported.received_ms),
        version=report.version,
        settings_version=report.settings_version,
        settings_state=report.settings_state,
        roster_version=report.roster_version,
        meters_connected=report.meters_connected,
        buffered_readings=report.buffered_readings,
        backlog_readings=report.backlog_readings,
        drain_s=report.drain_s,
    )


def _long(reported: Reported) -> ReportAnswer:
    report = reported.report
    return ReportAnswer(
        **msgspec.structs.asdict(_short(reported)),
        at=format_rfc3339(report.at_ms),
        started_at=format_rfc3339(report.started_ms),
        settings_detail=report.settings_detail,
        meters_known=report.meters_known,
        uplink=report.uplink,
        uplink_since=format_rfc3339(report.uplink_since_ms),
        uplink_connections=report.uplink_connections,
        buffered_bytes=report.buffered_bytes,
        file_bytes=report.file_bytes,
        in_flight=report.in_flight,
        backlog_bytes=report.backlog_bytes,
        books=report.books,
    )


def delegated(standing: Standing, span: tuple[int, int]) -> Delegated:
    """One span of a delegated device."""
    begin, end = span
    return Delegated(
        standing.device.id,
        standing.device.state,
        format_rfc3339(begin) if begin else None,
        None if end >= ALWAYS[1] else format_rfc3339(end),
    )


def settings_answer(context: Context, gateway: Device) -> SettingsAnswer:
    """The newest settings, or the defaults."""
    held = context.gateways.documents.settings(gateway.key) or VersionedSettings(0, GatewaySettings())
    reported = context.gateways.documents.report(gateway.key)
    if reported is None:
        return SettingsAnswer(held.version, held.settings, None, None, "")
    said = reported.report
    return SettingsAnswer(held.version, held.settings, said.settings_version, said.settings_state, said.settings_detail)
