"""Named: what is known of the devices that a chunk names, as arrays, and the judgement over its rows.

Reasons stand in the order in which they are looked for: who may not speak for a device is not told how it is.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ringmain.gateway.columns import Lane, Lanes
from ringmain.gateway.translate.speaking import Delegates
from ringmain.model.device import PERMISSIONS, Device, LifecycleState, Telemetry
from ringmain.model.ids import DeviceId
from ringmain.model.standing import Standing
from ringmain.model.time import INSTANT_MAX

Int64s = NDArray[np.int64]

FIRST, _LAST = -(1 << 63), (1 << 63) - 1
ACCEPTED, _NOT_DELEGATED, _SUSPENDED, _NOT_ACTIVE = range(4)
_SENDING = {state for state, row in PERMISSIONS.items() if row.telemetry is not Telemetry.REFUSED}
_NEVER = (_LAST, FIRST)
REASONS = ("", "not_delegated", "device_suspended", "device_not_active")


class Named:
    """What is known of the devices of one chunk: a place in each array for each of its names.

    `begins` and `ends` have a row for each span that the device with the most of them has; readings from `until` on
    are refused for `refusals`. `open`: there is nothing to be refused.
    """

    def __init__(self, gateway: Device, names: Sequence[DeviceId], delegates: Delegates, lanes: Lanes) -> None:
        known = delegates.of(gateway.key)
        self.standings = [known.get(name) for name in names]
        self.lanes: list[Lane] = []
        numbers: dict[tuple[int, LifecycleState], int] = {}
        columns: tuple[list[int], list[int], list[int], list[int]] = ([], [], [], [])
        keys, places, until, refusals = columns
        for name, standing in zip(names, self.standings, strict=True):
            if standing is None:
                keys.append(delegates.key_of(gateway.tenant, name) or gateway.key)
                places.append(0)
                until.append(_LAST)
                refusals.append(ACCEPTED)
                continue
            device = standing.device
            # By identity: profiles are shared, and to compare them looks at every channel.
            number = numbers.get((id(standing.profile), device.state))
            if number is None:
                number = numbers[id(standing.profile), device.state] = len(self.lanes)
                quarantined = PERMISSIONS[device.state].telemetry is Telemetry.QUARANTINED
                self.lanes.append(lanes.of(device.tenant, standing.profile, quarantined=quarantined))
            end_ms, refusal = _until(device)
            keys.append(device.key)
            places.append(number)
            until.append(end_ms)
            refusals.append(refusal)
        self.keys, self.numbers, self.until, self.refusals = (np.array(column, np.int64) for column in columns)
        self.begins, self.ends = _spans(self.standings)
        all_ways = len(self.begins) == 1 and bool((self.begins == FIRST).all() and (self.ends == _LAST).all())
        self.open = all_ways and bool((self.until == _LAST).all())

    def judge(self, places: Int64s, stamps: Int64s) -> Int64s:
        """For each row the index of its reason in `REASONS`."""
        covered = np.zeros(len(places), np.bool_)
        for begins, ends in zip(self.begins, self.ends, strict=True):
            covered |= (stamps >= begins[places]) & (stamps < ends[places])
        late = np.where(stamps >= self.until[places], self.refusals[places], ACCEPTED)
        return np.where(covered, late, _NOT_DELEGATED)


def _spans(standings: Sequence[Standing | None]) -> tuple[Int64s, Int64s]:
    """Begins and ends of all spans, in as many rows as the device with the most of them needs."""
    begins: list[list[int]] = []
    ends: list[list[int]] = []
    for at in range(max((len(it.spans) for it in standings if it), default=1)):
        row = [it.spans[at] if it and at < len(it.spans) else _NEVER for it in standings]
        # From 0 on, and without an end, is for all stamps, also those that no reading may have.
        begins.append([begin or FIRST for begin, _ in row])
        ends.append([_LAST if end > INSTANT_MAX else end for _, end in row])
    return np.array(begins, np.int64), np.array(ends, np.int64)


def _until(device: Device) -> tuple[int, int]:
    """From which stamp on a device's readings are refused, and why."""
    if device.state in _SENDING:
        return _LAST, ACCEPTED
    if device.state is LifecycleState.SUSPENDED:
        return device.state_since_ms, _SUSPENDED
    return FIRST, _NOT_ACTIVE
