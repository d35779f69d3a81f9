"""From log entries to columns: blocks over the same channels are put together, in order of arrival, without
touching a single reading.

Pure: bytes in, numpy views out. A body that can not be read becomes a dead letter here, so that it never stops the
store; a stamp that no device may have is counted as rejected for the same reason.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringmain.model.batch import Batch, BatchError, Block, DeadLetter, Stamped, decode_batch
from ringmain.model.ids import DeviceKey, Offset
from ringmain.model.time import INSTANT_MAX
from ringmain.ports.queue import Entry

Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

UNDECODABLE = "undecodable_entry"
OUT_OF_RANGE = "stamp_out_of_range"
"""Why the store refuses a reading by itself: before 1970 or after `INSTANT_MAX`. The gateway refuses such stamps at
the door; one that got into the log would make every later reading of its device look late."""


class Group(msgspec.Struct, frozen=True):
    """Messages over the same channels. `order` numbers messages over the whole intake, in order of arrival."""

    channels: tuple[str, ...]
    exact: bool
    arrival: bool
    quarantined: bool
    devices: Int64s
    stamps: Int64s
    values: Int64s | Floats
    order: Int64s

    @property
    def messages(self) -> int:
        """How many messages it holds."""
        return len(self.devices)

    @property
    def readings(self) -> int:
        """How many single values it holds."""
        return len(self.devices) * len(self.channels)

    def take(self, mask: Bools) -> "Group":
        """The messages where `mask` holds; itself where that is all of them."""
        if bool(mask.all()):
            return self
        return msgspec.structs.replace(
            self,
            devices=self.devices[mask],
            stamps=self.stamps[mask],
            values=self.values[mask],
            order=self.order[mask],
        )


class Refusal(msgspec.Struct, frozen=True):
    """`count` records of a device that are refused for `reason`."""

    device: int
    reason: str
    count: int


class Intake(msgspec.Struct, frozen=True):
    """What some entries hold. Message `m` was received at `received_ms[i]` for the last `i` with `first[i] <= m`."""

    offset: Offset
    groups: tuple[Group, ...]
    dead_letters: tuple[tuple[Offset, DeadLetter], ...]
    refusals: tuple[Refusal, ...]
    first: Int64s
    received_ms: Int64s

    def received(self, order: Int64s) -> Int64s:
        """When the log received these messages."""
        return self.received_ms[np.searchsorted(self.first, order, side="right") - 1]


class _Pieces:
    """Blocks that belong to one group, before they are put together."""

    def __init__(self) -> None:
        self.devices: list[Int64s] = []
        self.stamps: list[Int64s] = []
        self.values: list[Int64s | Floats] = []
        self.order: list[Int64s] = []

    def add(self, block: Block, first: int) -> None:
        n, k = block.messages, len(block.channels)
        values: Int64s | Floats = (
            np.frombuffer(block.values, dtype=np.int64) if block.exact else np.frombuffer(block.values, np.float64)
        )
        self.devices.append(np.frombuffer(block.devices, dtype=np.int64))
        self.stamps.append(np.frombuffer(block.stamps, dtype=np.int64))
        self.values.append(values.reshape(n, k))
        self.order.append(np.arange(first, first + n, dtype=np.int64))


Key = tuple[tuple[str, ...], bool, bool, bool]


def take_in(entries: Sequence[Entry], now_ms: int) -> Intake:
    """Decode entries that are in offset order; there is at least one."""
    pieces: dict[Key, _Pieces] = {}
    letters: list[tuple[Offset, DeadLetter]] = []
    refusals: list[Refusal] = []
    first: list[int] = []
    received: list[int] = []
    messages = 0
    for entry in entries:
        try:
            batch = decode_batch(entry.body)
        except BatchError as error:
            letters.append((entry.offset, _letter(entry, str(error), now_ms)))
            continue
        first.append(messages)
        received.append(batch.received_ms)
        messages = _sort(batch, pieces, messages)
        letters.extend((entry.offset, letter) for letter in batch.dead_letters)
        refusals.extend(Refusal(each.device, each.reason, each.count) for each in batch.rejections)
    groups = tuple(_in_range((_group(key, piece) for key, piece in pieces.items()), refusals))
    return Intake(
        entries[-1].offset,
        groups,
        tuple(letters),
        tuple(refusals),
        np.array(first, np.int64),
        np.array(received, np.int64),
    )


def _sort(batch: Batch, pieces: dict[Key, _Pieces], messages: int) -> int:
    for block in batch.blocks:
        if not block.messages or not block.channels:
            continue
        key = (block.channels, block.exact, block.stamped == Stamped.ARRIVAL, block.quarantined)
        pieces.setdefault(key, _Pieces()).add(block, messages)
        messages += block.messages
    return messages


def _group(key: Key, pieces: _Pieces) -> Group:
    return Group(*key, *(joined(each) for each in (pieces.devices, pieces.stamps, pieces.values, pieces.order)))


def joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One array of several; itself where it is alone."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _in_range(groups: Iterable[Group], refusals: list[Refusal]) -> Iterable[Group]:
    for group in groups:
        if group.stamps.min() >= 0 and group.stamps.max() <= INSTANT_MAX:
            yield group
            continue
        good = (group.stamps >= 0) & (group.stamps <= INSTANT_MAX)
        devices, counts = np.unique(group.devices[~good], return_counts=True)
        for device, count in zip(devices.tolist(), counts.tolist(), strict=True):
            refusals.append(Refusal(device, OUT_OF_RANGE, count * len(group.channels)))
        if good.any():
            yield group.take(good)


def _letter(entry: Entry, detail: str, now_ms: int) -> DeadLetter:
    return DeadLetter(DeviceKey(0), now_ms, "log", "", bytes(entry.body), UNDECODABLE, detail)
