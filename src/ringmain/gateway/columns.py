"""The batch that is being filled: readings go straight into typed columns, one block for each set of channels.

A column is an `array`, so a value that does not fit its type is refused when it is appended and not when the batch
is committed: one bad reading can never spoil the commit of the others.
"""

from array import array
from collections.abc import Iterable
from itertools import chain
from typing import TypeAlias

from ringmain.model.batch import FORMAT, Batch, Block, DeadLetter, Rejection, Stamped, block_of
from ringmain.model.device import Profile
from ringmain.model.ids import DeviceKey, TenantId, is_channel

CHANNEL_NAMES_MAX = 65_536
"""Distinct names that the devices of one tenant and profile may use between two starts: names are remembered by every
store, values are not; and no tenant uses up what another one needs."""

Column: TypeAlias = "array[int] | array[float]"


class ChannelRefused(Exception):
    """A name that no channel may have, or one too many; `reason` is a code of `model.errors`."""

    def __init__(self, detail: str, reason: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Lane:
    """Devices whose readings are alike in everything but their channels: one tenant and profile, quarantined or not.
    Compared by identity; the gateway keeps one of each. `names` are the channels they have used, and whether exact.
    """

    __slots__ = ("names", "profile", "quarantined")

    def __init__(self, profile: Profile, *, quarantined: bool) -> None:
        self.names: dict[str, bool] = {}
        self.profile = profile
        self.quarantined = quarantined

    def check(self, name: str) -> None:
        """Refuse a name that was not used before and may not be (`ChannelRefused`)."""
        if not is_channel(name):
            detail = f"{name[:80]!r} can not name a channel: 1-64 characters, a letter first"
            raise ChannelRefused(detail, "undecodable_payload")
        if len(self.names) >= CHANNEL_NAMES_MAX:
            raise ChannelRefused(f"more than {CHANNEL_NAMES_MAX} different channels", "too_many_channels")

    def learn(self, name: str) -> bool:
        """Whether the channel, which is from now on known, is EXACT."""
        exact = self.names[name] = self.profile.is_exact(name)
        return exact


class Lanes:
    """One lane of each kind. Profiles are equal by what they say, so that a changed one has a lane of its own."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[TenantId, Profile, bool], Lane] = {}

    def of(self, tenant: TenantId, profile: Profile, *, quarantined: bool) -> Lane:
        """The lane of these devices."""
        key = (tenant, profile, quarantined)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(profile, quarantined=quarantined)
        return lane


class Growing:
    """A block that grows."""

    __slots__ = ("channels", "devices", "exact", "stamps", "values")

    def __init__(self, channels: tuple[str, ...], *, exact: bool) -> None:
        self.channels = channels
        self.exact = exact
        self.devices = array("q")
        self.stamps = array("q")
        self.values: array[int] | array[float] = array("q") if exact else array("d")

    def add(self, device: DeviceKey, at_ms: int, values: Iterable[int | float]) -> None:
        """One message's values in the order of the channels. TypeError or OverflowError where one does not fit;
        then nothing was added.
        """
        held = len(self.values)
        try:
            self.values.extend(values)  # type: ignore[arg-type]
        except (TypeError, OverflowError):
            del self.values[held:]
            raise
        self.devices.append(device)
        self.stamps.append(at_ms)

    def add_all(self, device: DeviceKey, stamps: list[int], rows: Iterable[Iterable[int | float]]) -> None:
        """A message for each stamp, of one device, as `add` would take them one by one. `fromlist` takes a list in
        half the time that `extend` needs for an iterator, and takes all of it or nothing.
        """
        self.values.fromlist(list(chain.from_iterable(rows)))  # type: ignore[arg-type]
        self.devices.extend(array("q", (device,)) * len(stamps))
        self.stamps.fromlist(stamps)

    def add_columns(self, devices: memoryview, stamps: memoryview, values: memoryview) -> None:
        """Messages that are columns already, as bytes: int64 each, and values of the block's own kind row by row."""
        self.devices.frombytes(devices)
        self.stamps.frombytes(stamps)
        self.values.frombytes(values)

    def column(self, rows: Iterable[Iterable[int | float]]) -> Column:
        """The values of `add_all` before it is known whether those of other blocks fit too; errors as of `add`."""
        return array(self.values.typecode, list(chain.from_iterable(rows)))


Shapes = dict[tuple[str, ...], Growing]


class OpenBatch:
    """What the next commit will hold."""

    __slots__ = ("dead_letters", "lanes", "messages", "payload_bytes", "received_ms", "rejections")

    def __init__(self, received_ms: int) -> None:
        self.received_ms = received_ms
        self.lanes: dict[tuple[Lane, Stamped], Shapes] = {}
        self.dead_letters: list[DeadLetter] = []
        self.rejections: dict[tuple[DeviceKey, str], int] = {}
        self.messages = self.payload_bytes = 0

    def shapes(self, lane: Lane, stamped: Stamped) -> Shapes:
        """The blocks of one lane, by their channels."""
        found = self.lanes.get((lane, stamped))
        if found is None:
            found = self.lanes[lane, stamped] = {}
        return found

    def reject(self, device: DeviceKey, reason: str, count: int) -> None:
        """Count records that were refused."""
        self.rejections[device, reason] = self.rejections.get((device, reason), 0) + count

    def readings(self) -> int:
        """Single values so far."""
        return sum(len(growing.values) for shapes in self.lanes.values() for growing in shapes.values())

    def seal(self) -> Batch:
        """The batch, as it goes into the log."""
        return Batch(
            FORMAT,
            self.received_ms,
            tuple(
                _block(growing, lane, stamped)
                for (lane, stamped), shapes in self.lanes.items()
                for growing in shapes.values()
                if growing.devices
            ),
            tuple(self.dead_letters),
            tuple(Rejection(device, reason, count) for (device, reason), count in self.rejections.items()),
        )


def _block(growing: Growing, lane: Lane, stamped: Stamped) -> Block:
    return block_of(
        growing.channels,
        growing.devices,
        growing.stamps,
        growing.values,
        exact=growing.exact,
        stamped=stamped,
        quarantined=lane.quarantined,
    )
