"""Named: what is known of the devices that a chunk names, as arrays, and the judgement over its rows.

Reasons stand in the order in which they are looked for: who may not speak for a device is not told how it is.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ringmain.gateway.columns import Lane, Lanes
from ringmain.model.device import PERMISSIONS, Device, LifecycleState, Telemetry
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.model.standing import Standing
from ringmain.model.time import INSTANT_MAX

Int64s = NDArray[np.int64]

FIRST, _LAST = -(1 << 63), (1 << 63) - 1
ACCEPTED, _NOT_DELEGATED, _SUSPENDED, _NOT_ACTIVE = range(4)
REASONS = ("", "not_delegated", "device_suspended", "device_not_active")


class Delegates(Protocol):
    """Who may speak for whom, from memory: what it says holds for the next chunk."""

    def of(self, gateway: DeviceKey) -> Mapping[DeviceId, Standing]:
        """Every device that is or was delegated to the gateway, by its id."""
        ...

    def key_of(self, tenant: TenantId, id: DeviceId) -> DeviceKey | None:
        """The key of a device, delegated or not."""
        ...


class Named:
    """What is known of the devices of one chunk: a place in each array for each of its names.

    `begins` and `ends` have a row for each span that the device with the most of them has; readings from `until` on
    are refused for `refusals`. `open`: there is nothing to be refused.
    """

    def __init__(self, gateway: Device, names: Sequence[DeviceId], delegates: Delegates, lanes: Lanes) -> None:
        known = delegates.of(gateway.key)
        self.standings = [known.get(name) for name in names]
        self.lanes: list[Lane] = []
        rows: list[tuple[int, int, int, int]] = []
        numbers: dict[tuple[int, bool], int] = {}
        for name, standing in zip(names, self.standings, strict=True):
            if standing is None:
                rows.append((delegates.key_of(gateway.tenant, name) or gateway.key, 0, FIRST, _NOT_DELEGATED))
                continue
            device, (until, refusal) = standing.device, _until(standing.device)
            quarantined = PERMISSIONS[device.state].telemetry is Telemetry.QUARANTINED
            # By identity first: profiles are shared, and equality looks at every channel.
            number = numbers.setdefault((id(standing.profile), quarantined), len(self.lanes))
            if number == len(self.lanes):
                self.lanes.append(lanes.of(device.tenant, standing.profile, quarantined=quarantined))
            rows.append((device.key, number, until, refusal))
        columns = np.array(rows, np.int64).reshape(len(rows), 4)
        self.keys, self.numbers, self.until, self.refusals = (columns[:, at].copy() for at in range(4))
        self.begins, self.ends = self._spans()
        all_ways = len(self.begins) == 1 and bool((self.begins == FIRST).all() and (self.ends == _LAST).all())
        self.open = all_ways and bool((self.until == _LAST).all())

    def _spans(self) -> tuple[Int64s, Int64s]:
        most = max((len(standing.spans) for standing in self.standings if standing), default=1)
        begins = np.full((max(most, 1), len(self.standings)), _LAST, np.int64)
        ends = np.full_like(begins, FIRST)
        for place, standing in enumerate(self.standings):
            for at, (begin, end) in enumerate(standing.spans if standing else ()):
                # From 0 on, and without an end, is for all stamps, also those that no reading may have.
                begins[at, place] = begin or FIRST
                ends[at, place] = _LAST if end > INSTANT_MAX else end
        return begins, ends

    def judge(self, places: Int64s, stamps: Int64s) -> Int64s:
        """For each row the index of its reason in `REASONS`."""
        covered = np.zeros(len(places), np.bool_)
        for begins, ends in zip(self.begins, self.ends, strict=True):
            covered |= (stamps >= begins[places]) & (stamps < ends[places])
        late = np.where(stamps >= self.until[places], self.refusals[places], ACCEPTED)
        return np.where(covered, late, _NOT_DELEGATED)


def _until(device: Device) -> tuple[int, int]:
    """From which stamp on a device's readings are refused, and why."""
    if PERMISSIONS[device.state].telemetry is not Telemetry.REFUSED:
        return _LAST, ACCEPTED
    if device.state is LifecycleState.SUSPENDED:
        return device.state_since_ms, _SUSPENDED
    return FIRST, _NOT_ACTIVE
