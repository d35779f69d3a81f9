"""Reports: what the gateway says of itself, to the platform now and then, and to whoever asks on its own machine."""

import asyncio
import contextlib
import logging

import msgspec

from ringmain import __version__
from ringmain.adapters.embedded.uplink import MqttUplink
from ringmain.apps.edge.books import EdgeBooks
from ringmain.gateway.delegated import Delegates
from ringmain.model.errors import Failed, Refused
from ringmain.model.gateway import GatewayReport
from ringmain.model.session import SessionState
from ringmain.ports.buffer import Buffer
from ringmain.ports.clock import Clock
from ringmain.services.forwarding.roster import RosterKeeper
from ringmain.services.forwarding.service import Forwarding
from ringmain.services.forwarding.settings import SettingsKeeper
from ringmain.services.sessions.service import Sessions

log = logging.getLogger(__name__)


class Looked(msgspec.Struct, frozen=True):
    """The rooms that a report looks into."""

    clock: Clock
    buffer: Buffer
    uplink: MqttUplink
    forwarding: Forwarding
    settings: SettingsKeeper
    roster: RosterKeeper
    delegates: Delegates
    sessions: Sessions
    books: EdgeBooks


class Reports:
    """Looks at the house, and never changes it."""

    def __init__(self, house: Looked) -> None:
        self._house = house
        self._due = asyncio.Event()
        self._started_ms = self._uplink_since_ms = house.clock.now_ms()

    def due(self) -> None:
        """Something changed that the platform should know."""
        self._due.set()

    def uplink_changed(self) -> None:
        """It went up or down."""
        self._uplink_since_ms = self._house.clock.now_ms()
        self._due.set()

    async def run(self) -> None:
        """Send reports while the uplink is up, until cancelled."""
        uplink = self._house.uplink
        while True:
            await uplink.up()
            self._due.clear()
            try:
                await uplink.send("report", msgspec.json.encode(self.report()))
            except (Failed, Refused) as error:
                log.debug("a report did not arrive: %s", error.detail)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._house.settings.settings.report_every_s):
                    await self._due.wait()

    def report(self) -> GatewayReport:
        """How it is now."""
        house = self._house
        status, drain, uplink = house.buffer.status(), house.forwarding.drain(), house.uplink
        return GatewayReport(
            version=__version__,
            at_ms=house.clock.now_ms(),
            started_ms=self._started_ms,
            settings_version=house.settings.version,
            settings_state=house.settings.state,
            settings_detail=house.settings.detail,
            roster_version=house.roster.version,
            meters_known=len(house.delegates),
            meters_connected=house.sessions.counts().get(SessionState.ONLINE, 0),
            uplink="up" if uplink.is_up else f"down: {uplink.trouble}",
            uplink_since_ms=self._uplink_since_ms,
            uplink_connections=uplink.connections,
            buffered_readings=status.readings,
            buffered_bytes=status.bytes,
            file_bytes=status.file_bytes,
            in_flight=house.forwarding.lanes.in_flight,
            backlog_readings=drain.readings,
            backlog_bytes=drain.bytes,
            drain_s=drain.seconds,
            books=house.books.counts(status),
        )
