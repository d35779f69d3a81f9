"""A disk that knows what is synced from what is only written, and a journal of checksummed records on it.

What was written and not synced when the power goes is torn: a prefix of it stays, perhaps with garbage behind.
"""

import asyncio
import errno
import struct
from collections.abc import Callable
from random import Random
from zlib import crc32

_HEAD = struct.Struct("<II")
SYNC_S = (0.0005, 0.01)
SLOW_SYNC_S = (0.05, 0.4)


class _File:
    __slots__ = ("content", "durable")

    def __init__(self):
        self.content = bytearray()
        self.durable = 0


class Disk:
    """One machine's. `mount` gives what a process uses; the handle of a process that died does nothing any more."""

    def __init__(self, chance: Random, note: Callable[[str], None]):
        self.chance = chance
        self.note = note
        self.files: dict[str, _File] = {}
        self.full = False
        self.failing: set[str] = set()
        self.on_sync: Callable[[], None] | None = None
        self.syncs = self.torn = 0
        self._mounted: Mount | None = None

    def mount(self) -> "Mount":
        self._mounted = Mount(self)
        return self._mounted

    def end_process(self) -> None:
        """The process died: the kernel still writes what it was handed, nobody synced it."""
        if self._mounted:
            self._mounted.alive = False

    def lose_power(self) -> None:
        """What is not synced is torn."""
        self.end_process()
        for name, file in self.files.items():
            unsynced = len(file.content) - file.durable
            if not unsynced:
                continue
            keep = self.chance.randint(0, unsynced)
            del file.content[file.durable + keep :]
            if self.chance.random() < 0.3:
                file.content += self.chance.randbytes(self.chance.randint(1, 40))
            self.torn += keep < unsynced
            self.note(f"torn {name} {keep}/{unsynced}")
            file.durable = len(file.content)


class Mount:
    """A process's view of its disk."""

    def __init__(self, disk: Disk):
        self.disk = disk
        self.alive = True

    def write(self, name: str, data: bytes) -> None:
        if not self.alive:
            return
        self.disk.files.setdefault(name, _File()).content += data

    async def sync(self, name: str) -> None:
        """Make durable what was written before; OSError where nobody knows whether it is."""
        disk, file = self.disk, self.disk.files.setdefault(name, _File())
        covered = len(file.content)
        disk.syncs += 1
        if disk.on_sync:
            disk.on_sync()
        slow = disk.chance.random() < 0.02
        await asyncio.sleep(disk.chance.uniform(*(SLOW_SYNC_S if slow else SYNC_S)))
        if not self.alive:
            raise asyncio.CancelledError
        if name in disk.failing:
            disk.failing.discard(name)
            disk.note(f"sync of {name} fails")
            raise OSError(errno.EIO, f"{name}: input/output error")
        file.durable = max(file.durable, covered)

    def truncate(self, name: str, length: int) -> None:
        file = self.disk.files[name]
        del file.content[length:]
        file.durable = min(file.durable, length)

    def read(self, name: str) -> bytes:
        file = self.disk.files.get(name)
        return bytes(file.content) if file else b""


class Journal:
    """Records, one after another, each under a checksum that also counts them."""

    def __init__(self, mount: Mount, name: str):
        self.mount, self.name = mount, name
        self._count = 0

    def recover(self) -> list[bytes]:
        """All whole records; what lies behind the last of them is torn, and is cut off."""
        data, at, records = self.mount.read(self.name), 0, []
        while at + _HEAD.size <= len(data):
            length, crc = _HEAD.unpack_from(data, at)
            body = data[at + _HEAD.size : at + _HEAD.size + length]
            if len(body) < length or crc32(body, len(records)) != crc:
                break
            records.append(body)
            at += _HEAD.size + length
        if at < len(data):
            self.mount.disk.note(f"{self.name}: {len(data) - at} torn bytes behind {len(records)} records")
            self.mount.truncate(self.name, at)
        self._count = len(records)
        return records

    def write(self, body: bytes) -> None:
        self.mount.write(self.name, _HEAD.pack(len(body), crc32(body, self._count)) + body)
        self._count += 1

    async def sync(self) -> None:
        await self.mount.sync(self.name)
