"""Settings of a gateway: taken whole or not at all, and taken back by themselves where they cut the uplink.

New settings are on trial until a new connection came up under them; where that does not happen within `confirm_s`
the ones before are in force again, and that version is not tried a second time. All of that is one document, replaced
at once, so that a crash at any moment leaves a gateway that finds its platform: what was on trial then is on trial
again. What is taken is kept first; what is taken back counts at once, and is kept as soon as that can be.

| state | offered | connected | time is up |
|---|---|---|---|
| `default`, `confirmed`, `reverted`, `invalid` | `trial` (or `invalid`) | no change | no change |
| `trial` | not looked at before the trial is over | `confirmed` | `reverted` |
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from ringmain.model.errors import Failed
from ringmain.model.gateway import GatewaySettings, SettingsState, VersionedSettings
from ringmain.ports.blobs import Blobs
from ringmain.ports.clock import Clock

log = logging.getLogger(__name__)

DOCUMENT = "settings.json"
RETRY_S = 1.0


class _Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept. While on trial, `before` are the settings to go back to. `rejected` is the version that was taken
    back, and `refused` what it said: a platform that was restored from a backup gives the same number to other
    settings.
    """

    version: int = 0
    settings: GatewaySettings = GatewaySettings()
    state: SettingsState = SettingsState.DEFAULT
    detail: str = ""
    before: VersionedSettings | None = None
    rejected: int = 0
    refused: GatewaySettings | None = None

    def knows(self, offered: VersionedSettings) -> bool:
        """Whether there is nothing to do for these: they are in force, or were taken back."""
        if offered.version == self.rejected and self.refused in (None, offered.settings):
            return True
        return (offered.version, offered.settings) == (self.version, self.settings)


class SettingsKeeper:
    """The settings in force. `apply` is told of each change, and makes the uplink connect anew."""

    def __init__(self, blobs: Blobs, clock: Clock, apply: Callable[[GatewaySettings], None]) -> None:
        self._blobs = blobs
        self._clock = clock
        self._apply = apply
        self._held = _Held()
        self._offered: bytes | None = None
        self._work = asyncio.Event()
        self._connected = False
        self._unkept: _Held | None = None
        """In force, and not written yet: the disk has no room for it."""

    @property
    def settings(self) -> GatewaySettings:
        """Those in force."""
        return self._held.settings

    @property
    def version(self) -> int:
        """Their version; 0 before any were given."""
        return self._held.version

    @property
    def state(self) -> SettingsState:
        """How they stand."""
        return self._held.state

    @property
    def detail(self) -> str:
        """What is to be said about that."""
        return self._held.detail

    async def load(self) -> None:
        """Read what is kept. A document that can not be read is `Failed`: to go on with other settings than the
        last ones could cut the gateway off.
        """
        body = await self._blobs.get(DOCUMENT)
        if body is None:
            return
        try:
            self._held = msgspec.json.decode(body, type=_Held)
        except msgspec.DecodeError as error:
            raise Failed(
                "storage_failed",
                f"the kept settings ({DOCUMENT}) can not be read: {error}; nothing was changed",
                "remove that file to start with default settings; the platform sends its own when it is reached",
            ) from error

    def offer(self, body: bytes) -> None:
        """A document from the platform; the newest one wins. It is looked at by `run`."""
        self._offered = body
        self._work.set()

    def connected(self) -> None:
        """A new connection came up."""
        self._connected = True
        self._work.set()

    async def run(self) -> None:
        """Try what was offered, and settle each trial, until cancelled."""
        while True:
            try:
                if self._held.state is SettingsState.TRIAL:
                    await self._settle_trial()
                elif self._unkept:
                    await self._hold(self._unkept)
                else:
                    await self._work.wait()
                    self._work.clear()
                    await self._take_offer()
            except Failed as failed:
                log.error("settings could not be kept: %s; those in force stay", failed.detail)
                await asyncio.sleep(RETRY_S)

    async def _take_offer(self) -> None:
        """What can not be kept is offered again, unless something newer was meanwhile."""
        body, self._offered = self._offered, None
        if body is None:
            return
        try:
            await self._look_at(body)
        except Failed:
            self._again(body)
            raise

    def _again(self, body: bytes) -> None:
        if self._offered is None:
            self._offered = body
        self._work.set()

    async def _look_at(self, body: bytes) -> None:
        held = self._held
        try:
            offered = msgspec.json.decode(body, type=VersionedSettings)
        except msgspec.DecodeError as error:
            log.error("the platform's settings are not understood and were not taken: %s", error)
            await self._hold(msgspec.structs.replace(held, state=SettingsState.INVALID, detail=str(error)[:500]))
            return
        if held.knows(offered):
            return
        if offered.settings == held.settings:
            await self._hold(
                msgspec.structs.replace(held, version=offered.version, state=SettingsState.CONFIRMED, detail="")
            )
            return
        await self._hold(
            _Held(
                offered.version,
                offered.settings,
                SettingsState.TRIAL,
                before=VersionedSettings(held.version, held.settings),
                rejected=held.rejected,
                refused=held.refused,
            )
        )
        self._connected = False  # only now: what came up while they were written came up under the ones before
        self._apply(offered.settings)

    async def _settle_trial(self) -> None:
        """Wait for the connection that confirms, as long as the trial's own settings say."""
        held = self._held
        try:
            async with asyncio.timeout(held.settings.confirm_s):
                while not self._connected:
                    self._work.clear()
                    await self._work.wait()
        except TimeoutError:
            before = held.before or VersionedSettings(0, GatewaySettings())
            detail = f"version {held.version} was taken back: no uplink within {held.settings.confirm_s} s"
            log.warning("%s; version %d is in force again", detail, before.version)
            self._held = self._unkept = _Held(
                before.version,
                before.settings,
                SettingsState.REVERTED,
                detail,
                rejected=held.version,
                refused=held.settings,
            )
            self._apply(before.settings)  # whether or not it can be kept: without an uplink nothing can be mended
            return
        await self._hold(
            _Held(
                held.version,
                held.settings,
                SettingsState.CONFIRMED,
                rejected=held.rejected,
                refused=held.refused,
            )
        )

    async def _hold(self, held: _Held) -> None:
        """Keep it, and only then believe it."""
        await self._blobs.put(DOCUMENT, msgspec.json.encode(held))
        self._held, self._unkept = held, None
