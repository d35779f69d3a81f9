"""Room for the buffer on its disk, taken before it is needed, so that what is there can be brought away on a disk that
somebody else has filled to the last byte.

Three things take room that a full disk refuses: the write-ahead log, which is allocated whole when the buffer opens;
the file itself, which is allocated up to its last page before a transaction may make that page (folding the log in can
not fail then, and a log that is folded in starts again at its beginning); and whatever was not thought of, for which a
reserve lies beside it until it is needed. So readings are refused on a full disk, and deleting goes on.

It must never close a descriptor of the database while SQLite has it open: POSIX drops all locks of a process with the
first descriptor closed (fcntl(2)).
"""

import contextlib
import errno
import os
from pathlib import Path

PAGE_BYTES = 4096

LOG_BYTES = 4 * 1024 * 1024
"""Of the write-ahead log: twice what it holds before it is folded in. One that grew is cut back to this."""

GROW_BYTES = 1024 * 1024
"""The file is allocated so far ahead, while there is room: one call for some hundred commits."""

SLACK_PAGES = 16
"""Inner pages and page maps that come with new rows, beyond the rows themselves."""

RESERVE_BYTES = 2 * 1024 * 1024
"""Of the reserve: the log's first pages and its index after a restart, and folding in a whole log."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Room:
    """What is allocated for the database at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserve = path.with_name(path.name + ".reserve")
        self._log = path.with_name(path.name + "-wal")
        self._descriptor = -1

    def open(self) -> None:
        """Begin; the database is there and open."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        self.keep_reserve()

    def close(self) -> None:
        """End; SQLite has closed the database."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def allocate_log(self) -> None:
        """The log to its full size; SQLite takes bytes behind its last frame for no frames. Where there is no room now
        the reserve has to do.
        """
        with contextlib.suppress(OSError):
            descriptor = os.open(self._log, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _allocate(descriptor, LOG_BYTES)
            finally:
                os.close(descriptor)

    def allocate(self, pages: int) -> bool:
        """The database up to so many pages; False where the disk has no room for them."""
        size = (pages + SLACK_PAGES) * PAGE_BYTES
        if os.fstat(self._descriptor).st_size >= size:
            return True
        return _allocate(self._descriptor, size + GROW_BYTES) or _allocate(self._descriptor, size)

    def keep_reserve(self) -> None:
        """Hold the reserve, where the disk has room for it four times over."""
        with contextlib.suppress(OSError):
            if self._reserve.exists():
                return
            status = os.statvfs(self._path.parent)
            if status.f_bavail * status.f_frsize > 4 * RESERVE_BYTES:
                descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    _allocate(descriptor, RESERVE_BYTES)
                finally:
                    os.close(descriptor)

    def give_up_reserve(self) -> bool:
        """Whether there was one."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def file_bytes(self, pages: int) -> int:
        """What the disk holds for database and log."""
        with contextlib.suppress(OSError):
            return os.fstat(self._descriptor).st_size + self._log.stat().st_size
        return pages * PAGE_BYTES


def pages_of(size: int) -> int:
    """Pages that a body of `size` bytes takes, at most."""
    return size // (PAGE_BYTES - 64) + 2


def _allocate(descriptor: int, size: int) -> bool:
    """False where there is no room. A file system that can not allocate ahead (EOPNOTSUPP, EINVAL) promises nothing,
    and is used as it is.
    """
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        return error.errno not in _NO_ROOM
    return True
