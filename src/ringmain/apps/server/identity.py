"""Identity: what makes this installation itself, made at the first start and kept in `<storage.dir>/identity/`.

| file | what it is | who may have it |
|---|---|---|
| `pepper` | key of every token's digest | nobody; without it every token is void |
| `ca.key`, `ca.pem` | the CA: its key, and what clients are pinned to | key: nobody; `ca.pem`: everyone |
| `server.key`, `server.pem` | certificate of the TLS listeners; renewed by itself | key: nobody |
| `admin.token` | opens the API as its operator | administrators |

Each file is written beside its place, synced and renamed. The pepper comes first: where it is missing and anything
else is there, something was lost, and that is refused rather than replaced. Needs the directory's lock.
"""

import os
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from ringmain.apps.server.certificates import (
    ALWAYS_NAMED,
    Pair,
    belongs_together,
    expires,
    is_current,
    new_ca,
    new_server_certificate,
)
from ringmain.model.errors import Failed
from ringmain.model.time import Instant, instant_of, utc

DIRECTORY = "identity"
PEPPER_BYTES = 32
"""As long as the HMAC-SHA-256 it keys (RFC 2104 §3)."""

_ADMIN_PREFIX = "rma_"
"""So that a token found in a log or a repository says what it opens; and no shell takes it for an option."""


class Identity(msgspec.Struct, frozen=True):
    """Where the material lies, and the secrets that the process itself needs: the pepper, the admin token, and the CA,
    which signs the certificates of devices. `created`: this was the first start, so the caller says once where they
    are.
    """

    ca_path: Path
    cert_path: Path
    key_path: Path
    admin_token_path: Path
    pepper: bytes
    ca: Pair
    admin_token: str
    cert_expires_ms: Instant
    created: bool

    def __repr__(self) -> str:
        """Without the secrets, which must not reach a log."""
        return f"Identity({self.ca_path.parent}, created={self.created})"


def load_or_create(storage_dir: Path, now_ms: int, names: Sequence[str] = ()) -> Identity:
    """The identity kept in `<storage_dir>/identity`, made or renewed where needed; `names` are further names for the
    server certificate. Raises `Failed("storage_failed")`.
    """
    directory, now = storage_dir / DIRECTORY, utc(now_ms)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        pepper, created = _pepper(directory)
        ca = _ca(directory, now)
        server = _server(directory, ca, (*ALWAYS_NAMED, *names), now)
        token = _admin_token(directory / "admin.token")
    except OSError as error:
        raise Failed(
            "storage_failed",
            f"the identity in {directory} can not be read or written: {error.strerror} ({error.filename})",
            "see that this user owns the directory and that the disk has room, then start again",
        ) from error
    return Identity(
        ca_path=directory / "ca.pem",
        cert_path=directory / "server.pem",
        key_path=directory / "server.key",
        admin_token_path=directory / "admin.token",
        pepper=pepper,
        ca=ca,
        admin_token=token,
        cert_expires_ms=instant_of(expires(server)),
        created=created,
    )


def _pepper(directory: Path) -> tuple[bytes, bool]:
    path = directory / "pepper"
    stored = _read(path)
    if stored is None:
        left = sorted(name.name for name in directory.iterdir() if not name.name.endswith(_UNFINISHED))
        if left:
            raise _lost(path, f"{', '.join(left)} are there", "every token of every device depends on it")
        pepper = secrets.token_bytes(PEPPER_BYTES)
        _write(path, pepper.hex().encode() + b"\n")
        return pepper, True
    try:
        pepper = bytes.fromhex(stored.decode())
    except ValueError:
        pepper = b""
    if len(pepper) != PEPPER_BYTES:
        raise _lost(path, "the file is damaged", "every token of every device depends on it")
    return pepper, False


def _ca(directory: Path, now: datetime) -> Pair:
    key, cert = _read(directory / "ca.key"), _read(directory / "ca.pem")
    if cert is None:
        # Also where only the key is there: the certificate is written last, so nobody has seen this CA yet.
        ca = new_ca(now)
        _write_pair(directory, "ca", ca)
        return ca
    if key is None or not belongs_together(Pair(key, cert)):
        raise _lost(directory / "ca.key", "ca.pem is there", "clients are pinned to it, and only its key can renew")
    return Pair(key, cert)


def _server(directory: Path, ca: Pair, names: Sequence[str], now: datetime) -> Pair:
    key, cert = _read(directory / "server.key"), _read(directory / "server.pem")
    if key is not None and cert is not None and is_current(Pair(key, cert), ca, names, now):
        return Pair(key, cert)
    # A crash between the two files leaves a pair that does not belong together, which the next start replaces.
    server = new_server_certificate(ca, names, now)
    _write_pair(directory, "server", server)
    return server


def _admin_token(path: Path) -> str:
    stored = (_read(path) or b"").decode(errors="replace").strip()
    if stored:
        return stored
    token = _ADMIN_PREFIX + secrets.token_urlsafe(32)
    _write(path, token.encode() + b"\n")
    return token


def _lost(path: Path, instead: str, why: str) -> Failed:
    return Failed(
        "storage_failed",
        f"{path} is missing or damaged although this is not the first start ({instead}); nothing was changed",
        f"restore it from the backup: {why}",
    )


_UNFINISHED = ".unfinished"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write_pair(directory: Path, name: str, pair: Pair) -> None:
    _write(directory / f"{name}.key", pair.key)
    _write(directory / f"{name}.pem", pair.cert)


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing, and on the disk when this returns."""
    unfinished = path.with_name(path.name + _UNFINISHED)
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
