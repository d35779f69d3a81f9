"""The TLS of the platform's listener while it runs: its files are taken anew when somebody asks (SIGHUP, the API) and
when they change; files of no use are refused with a line in the log, and what was in force stays.

New connections meet what is in force; open ones stay, except those whose certificate a new list revokes.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import WeakSet

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from ringmain.apps.config_error import ConfigError
from ringmain.apps.server.certificates import Pair
from ringmain.apps.server.tls_files import TlsFiles, TlsInForce, take
from ringmain.model.errors import Refused
from ringmain.model.ids import DEFAULT_TENANT, DeviceId, TenantId
from ringmain.model.time import format_rfc3339, utc
from ringmain.ports.clock import Clock
from ringmain.transports.ssl_context import ReplaceableContext
from ringmain.transports.stream import StreamDriver

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between two looks at the files' times. A change is taken at the second look that sees it as it is: whoever replaces a
certificate and then its key is not caught in between."""

Driver = StreamDriver[Any]
Mark = tuple[tuple[int, int, int] | None, ...]
"""Of each file: inode, size and time of its last change; None where it is not there."""


class ServerTls:
    """What is in force, and who is connected under it."""

    context: ReplaceableContext

    def __init__(self, files: TlsFiles, own_ca: Pair, clock: Clock, *, required: bool) -> None:
        """`ConfigError` where the files are of no use: there is nothing in force that could stay."""
        self.context = ReplaceableContext()
        self.on_revoked: Callable[[Sequence[Driver]], None] = _close_all
        self._files = files
        self._own_ca = own_ca
        self._own_cert = x509.load_pem_x509_certificate(own_ca.cert)
        self._clock = clock
        self._required = required
        self._asked = asyncio.Event()
        self._drivers: WeakSet[Driver] = WeakSet()
        self._mark = _mark(files.paths())
        try:
            self.in_force = self._take()
        except Refused as refused:
            raise ConfigError(refused.detail, "look at the keys of [tls], or leave them out") from refused
        self._warn()
        self.context.use(self.in_force.context)

    # -- connections ----------------------------------------------------------------------------------------

    def watched(self, factory: Callable[[], Driver]) -> Callable[[], Driver]:
        """The factory of a listener, which from now on knows whom it serves."""

        def protocol() -> Driver:
            driver = factory()
            self._drivers.add(driver)
            return driver

        return protocol

    def is_revoked(self, der: bytes) -> bool:
        """Whether a list in force names a client's certificate. One that can not be read counts as named."""
        if not self.in_force.revoked:
            return False
        try:
            return self.in_force.is_revoked(x509.load_der_x509_certificate(der))
        except ValueError:
            return True

    def names(self, der: bytes) -> tuple[TenantId, DeviceId] | None:
        """The device whose certificate it is by the word of a further CA: CN is its id, and O its tenant, as in our
        own certificates; without O, the default tenant. None where our own CA issued it, which grants each
        certificate by itself, or it is out of date: a resumed session brings an old handshake along.
        """
        if not self.in_force.foreign:
            return None
        try:
            return self._named(x509.load_der_x509_certificate(der))
        except ValueError:
            return None

    def _named(self, cert: x509.Certificate) -> tuple[TenantId, DeviceId] | None:
        if self._is_own(cert) or not cert.not_valid_before_utc <= self._now() < cert.not_valid_after_utc:
            return None
        names = [str(each.value) for each in cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        tenants = [str(each.value) for each in cert.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        if len(names) != 1 or len(tenants) > 1:
            return None
        return TenantId(tenants[0] if tenants else DEFAULT_TENANT), DeviceId(names[0])

    def _is_own(self, cert: x509.Certificate) -> bool:
        try:
            cert.verify_directly_issued_by(self._own_cert)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def anchors(self) -> str:
        """What a device pins the platform to (PEM): our own CA, and the CAs of a certificate that is not of it."""
        return self._own_ca.cert.decode() + self.in_force.issuers

    # -- files ----------------------------------------------------------------------------------------------

    def ask(self) -> None:
        """Take the files anew, soon."""
        self._asked.set()

    async def run(self) -> None:
        """Look at the files until cancelled."""
        before = self._mark
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._asked.wait()
            now = _mark(self._files.paths())
            if self._asked.is_set() or (now == before and now != self._mark):
                self._asked.clear()
                with contextlib.suppress(Refused):
                    self.reload()
            before = now

    def reload(self) -> TlsInForce:
        """Take the files anew, now. `Refused` where they are of no use; then nothing has changed."""
        self._mark = _mark(self._files.paths())
        try:
            new = self._take()
            if new.lists_until_ms is not None and new.lists_until_ms <= self._clock.now_ms():
                until = format_rfc3339(new.lists_until_ms)
                raise Refused("unprocessable", f"a revocation list was to be renewed until {until}", "fetch it anew")
        except Refused as refused:
            log.error("the TLS files are not taken: %s; those in force stay", refused.detail)
            raise
        self.in_force = new
        self.context.use(new.context)
        ended = self._revoked()
        log.info(
            "the TLS files are taken: %s until %s, %d certificates revoked, %d connections closed",
            new.subject,
            format_rfc3339(new.expires_ms),
            len(new.revoked),
            len(ended),
        )
        self._warn()
        self.on_revoked(ended)
        return new

    def _take(self) -> TlsInForce:
        try:
            return take(self._files, self._own_ca, self._now(), required=self._required)
        except (ValueError, TypeError, OSError, UnsupportedAlgorithm) as error:
            raise Refused("unprocessable", f"the TLS files can not be read: {error}", "put sound ones there") from error

    def _revoked(self) -> list[Driver]:
        found = [(driver, driver.certificate) for driver in self._drivers if driver.is_open]
        return [driver for driver, der in found if der is not None and self.is_revoked(der)]

    def _warn(self) -> None:
        """What is in force, and may still surprise."""
        until = self.in_force.lists_until_ms
        if until is not None and until <= self._clock.now_ms():
            log.error("a revocation list ended at %s: no client comes in with a certificate", format_rfc3339(until))
        for name in self.in_force.unlisted:
            log.warning("tls.crl has no list of %s: no client comes in with a certificate that it issued", name)

    def _now(self) -> datetime:
        return utc(self._clock.now_ms())


def _mark(paths: Sequence[Path]) -> Mark:
    marks: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            marks.append(None)
        else:
            marks.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(marks)


def _close_all(drivers: Sequence[Driver]) -> None:
    for driver in drivers:
        driver.close()
