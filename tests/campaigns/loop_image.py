"""A disk whose power can be cut: ext4 in a file, mounted through a loop device.

What a process wrote without syncing lies in the page cache of the mounted file system and not yet in the file: the
journal commits every 300 s only, and written pages wait 30 s. A copy of the file taken before that is the disk as a
power cut would have left it. What such a copy cannot show: a disk that loses what it said was flushed.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 4 << 30
"""Sparse: it takes the room of what is written."""

WRITEBACK_S_MAX = 25
"""A run has to be over before the kernel writes old pages by itself (vm.dirty_expire_centisecs, 30 s)."""


def require_loop_devices() -> None:
    """Skip where this is not root, or root without the right to mount (containers)."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    found = subprocess.run(["losetup", "--find"], check=False, capture_output=True)
    if found.returncode != 0:
        pytest.skip("needs loop devices")


def make_image(path: Path) -> None:
    """An empty ext4 file system in a file."""
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", path], check=True, timeout=60)


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    """The file system of an image, taken away again whatever happens."""
    at.mkdir(parents=True, exist_ok=True)
    found = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    device = found.stdout.strip()
    try:
        subprocess.run(
            ["mount", "-t", "ext4", "-o", "commit=300,noatime,noinit_itable", device, at], check=True, timeout=60
        )
        try:
            yield at
        finally:
            subprocess.run(["umount", at], check=True, timeout=60)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True, timeout=60)


def copy_image(image: Path, to: Path) -> None:
    """The disk as it is now, holes kept. Whoever writes to it must have been stopped."""
    subprocess.run(["cp", "--sparse=always", image, to], check=True, timeout=120)
