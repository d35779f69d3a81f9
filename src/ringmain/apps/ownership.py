"""Ownership: one process per data directory, and plain words when a port is taken.

The lock is the kernel's (`flock`): it ends with its process, however that ends, so there is no stale lock to
clear. The file also says who holds it; it is never deleted, for deleting it would let two processes lock two files.
"""

import errno
import fcntl
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from ringmain.model.errors import Failed

LOCK_NAME = "ringmain.lock"


class Owner(msgspec.Struct, frozen=True):
    """Who owns a directory, as the lock file says."""

    pid: int
    command: str


class Owned(Failed):
    """Another process owns the directory."""

    def __init__(self, directory: Path, owner: Owner | None) -> None:
        who = f"process {owner.pid} ({owner.command})" if owner else "another process"
        way_out = f"stop it with `kill {owner.pid}`" if owner else "stop it"
        super().__init__(
            "unavailable",
            f"{directory} is in use by {who}; nothing was changed",
            f"{way_out}, or give this one a directory of its own (storage.dir, RINGMAIN_STORAGE__DIR, --storage-dir)",
        )
        self.owner = owner


class Ownership:
    """The lock on one directory, held until `release` or the end of the process. Not inherited by children."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let another process have the directory."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def own(directory: Path, command: str | None = None) -> Ownership:
    """Make the directory where it is missing (only its owner may look inside) and lock it. Raises `Owned`, or
    `Failed("storage_failed")` where it can not be made or written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failed(
            "storage_failed",
            f"the data directory {directory} can not be used: {error.strerror}",
            "name one that this user may write (storage.dir, RINGMAIN_STORAGE__DIR, --storage-dir)",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Owned(directory, owner_of(directory)) from None
    line = f"{os.getpid()} {command or ' '.join(Path(word).name for word in sys.argv[:2])}\n".encode()
    os.pwrite(descriptor, line, 0)
    os.ftruncate(descriptor, len(line))
    return Ownership(descriptor)


def owner_of(directory: Path) -> Owner | None:
    """Who the lock file names, whether or not that process still lives."""
    try:
        pid, _, command = (directory / LOCK_NAME).read_text(encoding="utf-8").strip().partition(" ")
        return Owner(int(pid), command)
    except (OSError, ValueError):
        return None


def port_error(error: OSError, *, host: str, port: int, key: str) -> Failed:
    """Why a listener could not be opened, in words. `key` is the configuration key, such as `mqtt.port`."""
    variable = "RINGMAIN_" + key.replace(".", "__").upper()
    if error.errno == errno.EADDRINUSE:
        what = f"port {port} on {host} is already taken"
        way_out = f"stop the process that has it (`ss -ltnp 'sport = :{port}'` names it) or choose another port"
    elif error.errno == errno.EACCES:
        what = f"this user may not open port {port} on {host}"
        way_out = "choose a port above 1023"
    elif error.errno == errno.EADDRNOTAVAIL:
        what = f"{host} is no address of this machine, so port {port} can not be opened on it"
        way_out = f"choose an address that `ip address` lists with {key.replace('port', 'host')}; or another port"
    else:
        what = f"port {port} on {host} can not be opened: {error.strerror or error}"
        way_out = "choose another port"
    return Failed("unavailable", what, f"{way_out}: {key} in the file, {variable}=0 takes a free one")
