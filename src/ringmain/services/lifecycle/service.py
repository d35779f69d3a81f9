"""Lifecycle: registers devices and moves them between states, always state first in the database, then the world.

Transitions of one process are made one after another, so that a token and a state never cross. After each
committed one every listener of `on_change` is told: the gateway cuts live connections, the store releases what
it kept in quarantine. It never talks to a device, and never keeps a token.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import msgspec

from ringmain.model.device import Device, LifecycleEvent, LifecycleState, Profile
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, ProfileName, TenantId, is_name
from ringmain.ports.clock import Clock
from ringmain.ports.credentials import Credentials, Holder
from ringmain.ports.directory import Directory
from ringmain.ports.registry import NewDevice, Registry
from ringmain.services.lifecycle.importing import Problems, Row, read_rows
from ringmain.services.lifecycle.tokens import TOKEN_LENGTH_MAX, TokenDigest, is_token, new_token
from ringmain.services.lifecycle.transitions import after

OnChange = Callable[[Device, LifecycleState], None]
"""Told of the device as it now is and the state it was in before. Both states are the same where only its token was
replaced: a connection made with the old one must go. It must not raise.
"""

PAUSE_ROWS = 500
"""Rows of an import read between two looks at the event loop: some 2 ms, less than one group commit."""


class IssuedToken(msgspec.Struct, frozen=True):
    """A token made for a device. It is told once and kept nowhere."""

    id: DeviceId
    token: str


class ImportResult(msgspec.Struct, frozen=True):
    """What an import came to. `tokens` are those that were made because the file gave none."""

    created: int
    unchanged: int
    profiles_created: tuple[ProfileName, ...]
    tokens: tuple[IssuedToken, ...]


async def _gently(rows: Iterable[Row]) -> AsyncIterator[Row]:
    """The rows, with a look at the event loop every now and then: an import must not hold up the readings."""
    for at, row in enumerate(rows, 1):
        yield row
        if at % PAUSE_ROWS == 0:
            await asyncio.sleep(0)


class Lifecycle:
    """The writer of device states and device tokens; `claims` beside it works under its lock."""

    def __init__(
        self,
        registry: Registry,
        directory: Directory,
        credentials: Credentials,
        clock: Clock,
        tokens: TokenDigest,
        on_change: Sequence[OnChange] = (),
    ) -> None:
        self._registry = registry
        self._directory = directory
        self._credentials = credentials
        self._clock = clock
        self._tokens = tokens
        self._on_change = on_change
        self.one_at_a_time = asyncio.Lock()
        """Whoever changes a state or a credential holds it, and tells before letting go."""

    async def register(self, tenant: TenantId, new: NewDevice) -> Device:
        """Make a device that is REGISTERED and has no token yet."""
        if new.state is not LifecycleState.REGISTERED or new.token_digest is not None:
            raise Refused(
                "invalid_request", "A device is registered without a token and without another state.", _IN_STEPS
            )
        if not is_name(new.id):
            raise Refused("unprocessable", f"{new.id[:64]!r} cannot name a device.", _NAMES)
        return (await self._registry.add(tenant, (new,), self._clock.now_ms()))[0]

    async def provision(
        self, tenant: TenantId, id: DeviceId, token: str | None = None, *, by: str = "operator"
    ) -> tuple[Device, str]:
        """REGISTERED to PROVISIONED; the token is made unless one is brought. It is told here and never again."""
        async with self.one_at_a_time:
            device = await self._known(tenant, id)
            to = after(device.state, LifecycleEvent.PROVISION)
            # Token first: a crash in between leaves a REGISTERED device, which may not connect with it, and the next
            # attempt replaces it.
            issued = await self._issue(device, token)
            return await self._move(device, to, by), issued

    async def activate(self, tenant: TenantId, id: DeviceId, *, by: str = "operator") -> Device:
        """PROVISIONED or SUSPENDED to ACTIVE."""
        return await self._transition(tenant, id, LifecycleEvent.ACTIVATE, by)

    async def suspend(self, tenant: TenantId, id: DeviceId, *, by: str = "operator") -> Device:
        """ACTIVE to SUSPENDED; its token stays and works again after `activate`."""
        return await self._transition(tenant, id, LifecycleEvent.SUSPEND, by)

    async def decommission(self, tenant: TenantId, id: DeviceId, *, by: str = "operator") -> Device:
        """Any state to DECOMMISSIONED, for good; its tokens are revoked, its id is never given again."""
        async with self.one_at_a_time:
            device = await self._known(tenant, id)
            to = after(device.state, LifecycleEvent.DECOMMISSION)
            # Revoked first: a crash in between leaves a device that cannot sign in, and the call can be repeated.
            await self._credentials.revoke_device(device.key, self._clock.now_ms())
            return await self._move(device, to, by)

    async def rotate_token(self, tenant: TenantId, id: DeviceId, token: str | None = None) -> tuple[Device, str]:
        """Replace a device's token: the old one ends with the call, and so do connections made with it."""
        async with self.one_at_a_time:
            device = await self._known(tenant, id)
            if device.state in {LifecycleState.REGISTERED, LifecycleState.DECOMMISSIONED}:
                raise Refused(
                    "invalid_transition",
                    f"A device that is {device.state.value} has no token to replace.",
                    "Provision a registered device; a decommissioned one is final.",
                )
            issued = await self._issue(device, token)
            self.tell(device, device.state)
            return device, issued

    async def import_csv(self, tenant: TenantId, text: str) -> ImportResult:
        """Make ACTIVE devices of a file `id,profile[,token]`, all of them or none. A device that exists as the file
        has it counts as unchanged. `ImportRefused` names each problem with its line and field.
        """
        problems = Problems()
        rows = [row async for row in _gently(read_rows(text, problems))]
        problems.refuse()
        async with self.one_at_a_time:
            digests = await self._digests(rows)
            fresh = await self._fresh(tenant, rows, digests, problems)
            problems.refuse()
            made = await self._missing_profiles(tenant, fresh)
            new, issued = await self._prepare(fresh, digests)
            if new:
                await self._registry.add(tenant, new, self._clock.now_ms())
        return ImportResult(len(new), len(rows) - len(new), made, tuple(issued))

    async def _fresh(
        self, tenant: TenantId, rows: Sequence[Row], digests: dict[DeviceId, bytes], problems: Problems
    ) -> list[Row]:
        """The rows whose device does not exist yet; existing ones must be what the file says."""
        known = {device.id: device for device in await self._registry.devices(tenant, [row.id for row in rows])}
        held = await self._credentials.holders(list(digests.values()))
        fresh: list[Row] = []
        async for row in _gently(rows):
            device = known.get(row.id)
            holder = held.get(digests[row.id]) if row.token is not None else None
            if device is None:
                fresh.append(row)
                if holder is not None:
                    problems.add(row.line, "token", "is in use; tokens are unique over all devices and tenants")
            elif device.state is not LifecycleState.ACTIVE:
                problems.add(row.line, "id", f"{row.id} exists and is {device.state.value}")
            elif device.profile != row.profile:
                problems.add(row.line, "profile", f"{row.id} exists with the profile {device.profile}")
            elif row.token is not None and (holder is None or holder.device != device.key):
                problems.add(row.line, "token", f"{row.id} exists with another token; rotate it to change it")
        return fresh

    async def _missing_profiles(self, tenant: TenantId, rows: Sequence[Row]) -> tuple[ProfileName, ...]:
        """Make the profiles that are named and not there. They stay when the import fails later: they do no harm."""
        made: list[ProfileName] = []
        for name in sorted({row.profile for row in rows}):
            if await self._directory.profile(tenant, name) is None:
                await self._directory.put_profile(tenant, Profile(name))
                made.append(name)
        return tuple(made)

    async def _digests(self, rows: Sequence[Row]) -> dict[DeviceId, bytes]:
        digests: dict[DeviceId, bytes] = {}
        async for row in _gently(rows):
            if row.token is not None:
                digests[row.id] = self._tokens.of(row.token)
        return digests

    async def _prepare(
        self, rows: Sequence[Row], digests: dict[DeviceId, bytes]
    ) -> tuple[list[NewDevice], list[IssuedToken]]:
        """What the registry takes, with a token made for each row that brings none."""
        new: list[NewDevice] = []
        issued: list[IssuedToken] = []
        async for row in _gently(rows):
            digest, token = digests.get(row.id), row.token
            if digest is None or token is None:
                token = new_token()
                digest = self._tokens.of(token)
                issued.append(IssuedToken(row.id, token))
            sealed = self._tokens.seal(token)
            new.append(NewDevice(row.id, row.profile, LifecycleState.ACTIVE, token_digest=digest, token_sealed=sealed))
        return new, issued

    async def _transition(self, tenant: TenantId, id: DeviceId, event: LifecycleEvent, by: str) -> Device:
        async with self.one_at_a_time:
            device = await self._known(tenant, id)
            return await self._move(device, after(device.state, event), by)

    async def _known(self, tenant: TenantId, id: DeviceId) -> Device:
        device = await self._registry.device(tenant, id)
        if device is None:
            raise Refused("not_found", f"There is no device {id[:64]!r}.", "Register or import it first.")
        return device

    async def _issue(self, device: Device, token: str | None) -> str:
        if token is not None and not is_token(token):
            raise Refused(
                "unprocessable", "The token was not accepted.", f"Bring 1-{TOKEN_LENGTH_MAX} printable characters."
            )
        issued = new_token() if token is None else token
        holder = Holder(device.tenant, device.id, device=device.key)
        sealed = self._tokens.seal(issued)
        await self._credentials.replace(self._tokens.of(issued), holder, self._clock.now_ms(), sealed=sealed)
        return issued

    async def _move(self, device: Device, to: LifecycleState, by: str) -> Device:
        moved = await self._registry.move(device.key, device.state, to, self._clock.now_ms(), by)
        self.tell(moved, device.state)
        return moved

    def tell(self, device: Device, before: LifecycleState) -> None:
        """Tell every listener of a change that is committed."""
        for listener in self._on_change:
            listener(device, before)


_NAMES = "A name is 1-64 of A-Z a-z 0-9 . _ : @ ~ - and starts with a letter or digit."
_IN_STEPS = "Register it, then provision, then activate; or import a file."
