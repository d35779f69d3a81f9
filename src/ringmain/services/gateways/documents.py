"""Documents of gateways: settings and rosters with versions that only grow, and the last report of each.

All of it is in memory too. Reports are written behind, since the next one comes in half a minute anyhow; settings and
the version of a roster are on disk before anybody hears of them. Of a roster only its digest is kept: it is made of
what the registry holds.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ringmain.model.gateway import GatewayReport, GatewaySettings, VersionedSettings
from ringmain.model.ids import DeviceKey
from ringmain.ports.clock import Clock
from ringmain.ports.gateway_documents import GatewayDocument, GatewayDocuments

SETTINGS, ROSTER, REPORT = "settings", "roster", "report"
"""Kinds, and below a gateway's tree the names of their topics."""

SETTINGS_KEPT = 100
"""Versions of settings of one gateway: who changed what in the last years, and not a disk full of a loop's doing."""


T = TypeVar("T")


class Reported(msgspec.Struct, frozen=True):
    """A report, and when it was received."""

    report: GatewayReport
    received_ms: int


class Documents:
    """Of all gateways."""

    def __init__(self, port: GatewayDocuments, clock: Clock) -> None:
        self._port = port
        self._clock = clock
        self._settings: dict[DeviceKey, VersionedSettings] = {}
        self._rosters: dict[DeviceKey, tuple[int, bytes]] = {}
        self._reports: dict[DeviceKey, Reported] = {}
        self._unwritten: dict[DeviceKey, None] = {}

    async def load(self) -> None:
        """Read the newest of each; what an older version of this program wrote and this one can not read is left."""
        for gateway, held in (await self._port.newest(SETTINGS)).items():
            settings = _read(held, GatewaySettings)
            if settings is not None:
                self._settings[gateway] = VersionedSettings(held.version, settings)
        for gateway, held in (await self._port.newest(ROSTER)).items():
            self._rosters[gateway] = (held.version, held.body)
        for gateway, held in (await self._port.newest(REPORT)).items():
            report = _read(held, GatewayReport)
            if report is not None:
                self._reports[gateway] = Reported(report, held.created_ms)

    def settings(self, gateway: DeviceKey) -> VersionedSettings | None:
        """The newest settings; None where none were given."""
        return self._settings.get(gateway)

    async def put_settings(self, gateway: DeviceKey, settings: GatewaySettings) -> VersionedSettings:
        """Write the next version, unless the newest says the same."""
        held = self._settings.get(gateway)
        if held is not None and held.settings == settings:
            return held
        body = msgspec.json.encode(settings)
        written = await self._port.put(SETTINGS, {gateway: body}, self._clock.now_ms(), keep=SETTINGS_KEPT)
        versioned = VersionedSettings(written[gateway].version, settings)
        held = self._settings.get(gateway)
        if held is None or held.version < versioned.version:
            self._settings[gateway] = versioned
        return versioned

    async def settings_history(
        self, gateway: DeviceKey, *, before: int | None, limit: int
    ) -> Sequence[GatewayDocument]:
        """Versions, the newest first."""
        return await self._port.history(gateway, SETTINGS, before=before, limit=limit)

    def roster_version(self, gateway: DeviceKey) -> int:
        """Of the newest roster; 0 where there has been none."""
        return self._rosters.get(gateway, (0, b""))[0]

    async def new_roster(self, gateway: DeviceKey, digest: bytes) -> int:
        """The version of a roster with this content: the newest one where that says the same, else the next."""
        version, known = self._rosters.get(gateway, (0, b""))
        if known != digest:
            written = await self._port.put(ROSTER, {gateway: digest}, self._clock.now_ms(), keep=1)
            version = written[gateway].version
            self._rosters[gateway] = (version, digest)
        return version

    def reported(self, gateway: DeviceKey, report: GatewayReport) -> None:
        """A gateway said how it is."""
        self._reports[gateway] = Reported(report, self._clock.now_ms())
        self._unwritten[gateway] = None

    def report(self, gateway: DeviceKey) -> Reported | None:
        """What it last said."""
        return self._reports.get(gateway)

    async def flush(self) -> None:
        """Write the reports that are not written yet; where that fails they stay to be written."""
        gateways = list(self._unwritten)
        if not gateways:
            return
        self._unwritten.clear()
        bodies = {gateway: msgspec.json.encode(self._reports[gateway].report) for gateway in gateways}
        try:
            await self._port.put(REPORT, bodies, self._clock.now_ms(), keep=1)
        except BaseException:
            self._unwritten.update(dict.fromkeys(gateways))
            raise


def _read(document: GatewayDocument, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(document.body, type=kind)
    except msgspec.DecodeError:
        return None
