"""Claims, embedded: in the registry database, so that a claim, its device and its credentials commit together.

What the transaction changed is brought to the memory of the registry and the credentials in the same thread, before
anything else runs: nobody can find the device's old state or a revoked token behind it.
"""

from typing import Any

from sqlalchemy import Connection, Row, insert, select, true, update

from ringmain.adapters.embedded.credentials import Credentials, certificates_of, grant, revoke
from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.database_schema import claims, credentials, devices, transitions
from ringmain.adapters.embedded.registry import Registry, device_of
from ringmain.model.device import Device, LifecycleState
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey
from ringmain.ports.claims import BY, STEPS, Redeemed, Redemption
from ringmain.ports.credentials import Certificate, Holder

_c = claims.c


class Claims:
    """Home of `ports.claims.Claims`."""

    def __init__(self, database: Database, registry: Registry, credentials: Credentials) -> None:
        self._database = database
        self._registry = registry
        self._credentials = credentials

    async def open(
        self, device: DeviceKey, digest: bytes, becomes: LifecycleState, *, at_ms: int, expires_ms: int, by: str
    ) -> None:
        def work(connection: Connection) -> None:
            state = connection.scalar(select(devices.c.state).where(devices.c.key == device))
            if state is None:
                raise Refused("not_found", f"There is no device with the key {device}.", "Register it first.")
            if state != LifecycleState.REGISTERED.value:
                raise Refused(
                    "invalid_transition",
                    f"The device is {state}; a claim is for one that is registered. No claim was made.",
                    "Give it a new token instead, or register another device.",
                )
            if connection.execute(select(_c.number).where(_c.digest == digest)).first() is not None:
                raise Refused("already_exists", "That claim was made before. No claim was made.", "Make a fresh one.")
            is_open = (_c.device == device) & _c.used_ms.is_(None) & _c.replaced_ms.is_(None)
            connection.execute(update(claims).where(is_open).values(replaced_ms=at_ms))
            row = {
                "digest": digest,
                "device": device,
                "becomes": becomes.value,
                "made_ms": at_ms,
                "made_by": by,
                "expires_ms": expires_ms,
            }
            connection.execute(insert(claims).values(row))

        await self._database.run(work)

    async def look(self, digest: bytes, at_ms: int) -> Device | None:
        def work(connection: Connection) -> Device | None:
            claim = _valid(connection, digest, at_ms)
            return None if claim is None else _device(connection, claim.device)

        return await self._database.run(work)

    async def redeem(self, digest: bytes, redemption: Redemption, at_ms: int) -> Redeemed | None:
        revoked: list[bytes] = []

        def work(connection: Connection) -> Redeemed | None:
            claim = _valid(connection, digest, at_ms)
            if claim is None:
                return None
            if claim.used_ms is not None:
                return _again(connection, claim, redemption)
            return _first(connection, claim, redemption, at_ms, revoked)

        def committed(redeemed: Redeemed | None) -> None:
            if redeemed is not None and redeemed.is_first:
                self._credentials.forget(revoked)
                self._registry.remember(redeemed.device)

        return await self._database.run(work, committed)


def _valid(connection: Connection, digest: bytes, at_ms: int) -> Row[Any] | None:
    """The claim, used or not, unless it was replaced or has expired."""
    valid = (_c.digest == digest) & _c.replaced_ms.is_(None) & (_c.expires_ms > at_ms)
    return connection.execute(select(claims).where(valid)).first()


def _device(connection: Connection, key: DeviceKey) -> Device:
    return device_of(connection.execute(select(devices).where(devices.c.key == key)).one())


def _first(
    connection: Connection, claim: Row[Any], redemption: Redemption, at_ms: int, revoked: list[bytes]
) -> Redeemed | None:
    device = _device(connection, claim.device)
    if device.state is not LifecycleState.REGISTERED:
        return None
    revoked += revoke(connection, device.key, at_ms, true())
    holder, certificate = Holder(device.tenant, device.id, device=device.key), redemption.certificate
    grant(connection, redemption.token_digest, holder, at_ms, sealed=redemption.token_sealed)
    if certificate is not None and redemption.certificate_digest is not None:
        grant(connection, redemption.certificate_digest, holder, at_ms, certificate=certificate)
    becomes = LifecycleState(claim.becomes)
    entries = [
        {"device": device.key, "at_ms": at_ms, "seen": seen.value, "became": to.value, "by": BY}
        for seen, to in STEPS[becomes]
    ]
    connection.execute(insert(transitions), entries)
    moved = {"state": becomes.value, "state_since_ms": at_ms}
    connection.execute(update(devices).where(devices.c.key == device.key).values(moved))
    serial = None if certificate is None else certificate.serial
    used = {"used_ms": at_ms, "request": redemption.request, "serial": serial}
    connection.execute(update(claims).where(_c.number == claim.number).values(used))
    return Redeemed(_device(connection, device.key), certificate, is_first=True)


def _again(connection: Connection, claim: Row[Any], redemption: Redemption) -> Redeemed | None:
    if redemption.request is None or claim.request != redemption.request:
        return None
    c = credentials.c
    in_force = (c.digest == redemption.token_digest) & (c.device == claim.device) & c.revoked_ms.is_(None)
    if connection.execute(select(c.number).where(in_force)).first() is None:
        return None
    certificate: Certificate | None = None
    if claim.serial is not None:
        held = certificates_of(connection, claim.device)
        certificate = next((it for it in held if it.serial == claim.serial), None)
        if certificate is None:
            return None
    return Redeemed(_device(connection, claim.device), certificate, is_first=False)
