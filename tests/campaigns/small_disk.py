"""A disk that is soon full: a tmpfs of a few MiB, and a file that stands for somebody else's data on it."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[Path]:
    """A tmpfs of `size` (`96m`), mounted on `at` and taken away again whatever happens; skips without that right."""
    at.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs root with the right to mount")
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True, timeout=60)


def take_all_but(room: int, disk: Path, file: Path) -> None:
    """Fill `file`, so that `room` bytes are left on the disk. Under load it may have filled by itself, which is
    as good.
    """
    status = os.statvfs(disk)
    with file.open("wb") as handle, contextlib.suppress(OSError):
        os.posix_fallocate(handle.fileno(), 0, max(1, status.f_bavail * status.f_frsize - room))
