"""Blobs, embedded: files in one directory. Each is written beside its place, synced and renamed, so that a crash at any
moment leaves the old one or the new one.
"""

import asyncio
import errno
import os
import re
from pathlib import Path

from ringmain.model.errors import Failed

_NAME = re.compile(r"[a-z0-9._-]{1,64}\Z")
UNFINISHED = ".unfinished"
"""The end of a name that is written and not yet renamed: a crash may leave such a file, and nobody reads it."""


class EmbeddedBlobs:
    """Home of `ports.blobs.Blobs`. Files of a few KiB, written seldom: they are written where the caller runs, which
    costs less than a thread, but in an executor where the loop must not wait for a slow disk.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def get(self, name: str) -> bytes | None:
        """See `ports.blobs`."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(error, self._path(name)) from error

    async def put(self, name: str, body: bytes) -> None:
        """See `ports.blobs`."""
        await asyncio.get_running_loop().run_in_executor(None, write_durably, self._path(name), body)

    async def remove(self, name: str) -> None:
        """See `ports.blobs`."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise _failed(error, self._path(name)) from error

    def _path(self, name: str) -> Path:
        if not _NAME.match(name):
            raise ValueError(f"{name!r} can not name a document")
        return self._directory / name


def write_durably(path: Path, content: bytes) -> None:
    """All of it or nothing, for its owner alone, and on the disk when this returns. `Failed` where it can not be."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + UNFINISHED)
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        raise _failed(error, path) from error


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _failed(error: OSError, path: Path) -> Failed:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed("storage_full", f"no room left for {path}; the old one stands", "free space on that disk")
    return Failed("storage_failed", f"{path}: {error.strerror or error}", "see that this user may write there")
