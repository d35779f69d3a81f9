"""Sessions under a clock of their own, written behind to the simulated presence."""

import asyncio
import sys
from types import FrameType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.adapters.simulated.presence import Presence
from ringmain.model.errors import Failed
from ringmain.model.session import Session, SessionState
from ringmain.services.sessions import service, timeline
from ringmain.services.sessions.service import FLUSH_MAX, OVERDUE_MAX, SEEN_EVERY_MS, Sessions

NEVER_SEEN, ONLINE, SLEEPING, STALE, OFFLINE = SessionState
START_MS = 1_700_000_000_000
MINUTE_MS = 60_000


class ManualClock:
    def __init__(self) -> None:
        self.at_ms = START_MS

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_s(self) -> float:
        return self.at_ms / 1000


class Disk(Presence):
    """Counts what is written, and can be full."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[int] = []
        self.full = False

    async def save(self, sessions):
        if self.full:
            raise Failed("storage_full", "no room")
        self.writes.append(len(sessions))
        await super().save(sessions)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def sessions(clock: ManualClock, disk: Disk) -> Sessions:
    sessions = Sessions(disk, clock)
    await sessions.start()
    return sessions


def later(sessions: Sessions, clock: ManualClock, ms: int) -> None:
    clock.at_ms += ms
    sessions.advance()


def test_a_device_nobody_heard_of_was_never_seen(clock, disk):
    sessions = Sessions(disk, clock)
    sessions.disconnected(1, 99)
    assert sessions.get(1) == Session(1, NEVER_SEEN, 0, "", "", 0, 0, 0)
    assert sessions.counts() == dict.fromkeys(SessionState, 0)


async def test_the_late_disconnect_of_an_older_epoch_is_ignored(sessions: Sessions):
    first = sessions.connected(1, 60, "mqtt", "old")
    second = sessions.connected(1, 60, "mqtt", "new")
    assert second > first
    sessions.disconnected(1, first)
    assert sessions.get(1).state is ONLINE
    assert sessions.get(1).peer == "new"
    sessions.disconnected(1, second)
    assert sessions.get(1).state is OFFLINE
    sessions.disconnected(1, second)
    assert sessions.get(1).state is OFFLINE


async def test_a_disconnect_is_not_activity(sessions: Sessions, clock):
    epoch = sessions.connected(1, 60, "mqtt", "")
    clock.at_ms += 5_000
    sessions.disconnected(1, epoch)
    assert sessions.get(1).last_seen_ms == START_MS
    assert sessions.get(1).expected_by_ms == 0


async def test_an_hourly_meter_is_not_offline_after_ten_minutes(sessions: Sessions, clock):
    sessions.connected(1, 3600, "mqtt", "")
    later(sessions, clock, 10 * MINUTE_MS)
    assert sessions.get(1).state is ONLINE
    later(sessions, clock, 80 * MINUTE_MS - 1)
    assert sessions.get(1).state is ONLINE
    later(sessions, clock, 1)
    assert sessions.get(1).state is STALE
    later(sessions, clock, 90 * MINUTE_MS - 1)
    assert sessions.get(1).state is STALE
    later(sessions, clock, 1)
    assert sessions.get(1).state is OFFLINE


async def test_a_device_without_a_connection_comes_and_goes_by_its_reports(sessions: Sessions, clock):
    sessions.active(1, clock.at_ms, 600)
    assert sessions.get(1).state is ONLINE
    for _ in range(5):
        later(sessions, clock, 14 * MINUTE_MS)
        sessions.active(1, clock.at_ms)
        assert sessions.get(1).state is ONLINE
    later(sessions, clock, 15 * MINUTE_MS)
    assert sessions.get(1).state is STALE
    sessions.active(1, clock.at_ms)
    assert sessions.get(1).state is ONLINE
    later(sessions, clock, 15 * MINUTE_MS)
    later(sessions, clock, 15 * MINUTE_MS)
    assert sessions.get(1).state is OFFLINE
    later(sessions, clock, 10**9)
    assert sessions.get(1).state is OFFLINE
    sessions.active(1, clock.at_ms)
    assert sessions.get(1).state is ONLINE


async def test_an_older_stamp_does_not_take_a_device_back(sessions: Sessions, clock):
    sessions.active(1, clock.at_ms)
    sessions.active(1, clock.at_ms - 50_000)
    assert sessions.get(1).last_seen_ms == START_MS


async def test_a_shorter_interval_is_noticed_at_its_own_time(sessions: Sessions, clock):
    sessions.active(1, clock.at_ms, 86_400)
    sessions.active(1, clock.at_ms, 60)
    later(sessions, clock, 90_000)
    assert sessions.get(1).state is STALE
    sessions.connected(2, 86_400, "mqtt", "")
    sessions.connected(2, 60, "mqtt", "")
    later(sessions, clock, 90_000)
    assert sessions.get(2).state is STALE


async def test_who_announced_to_sleep_is_neither_missed_nor_gone_until_then(sessions: Sessions, clock):
    epoch = sessions.connected(1, 60, "mqtt", "")
    sessions.sleeping(1, clock.at_ms + 60 * MINUTE_MS)
    sessions.disconnected(1, epoch)
    assert sessions.get(1).state is SLEEPING
    later(sessions, clock, 60 * MINUTE_MS + 29_999)
    assert sessions.get(1).state is SLEEPING
    later(sessions, clock, 1)
    assert sessions.get(1).state is STALE
    later(sessions, clock, 90_000)
    assert sessions.get(1).state is OFFLINE
    sessions.sleeping(1, clock.at_ms + MINUTE_MS)  # it spoke, so it is there, and then asleep
    assert sessions.get(1).state is SLEEPING
    assert sessions.get(1).last_seen_ms == clock.at_ms
    sessions.active(1, clock.at_ms)
    assert sessions.get(1).state is ONLINE


async def test_counts_follow(sessions: Sessions, clock):
    for device in range(10):
        sessions.active(device, clock.at_ms)
    sessions.disconnected(0, sessions.connected(0, 60, "mqtt", ""))
    sessions.sleeping(1, clock.at_ms + 10**9)
    later(sessions, clock, 80_000)
    sessions.active(2, clock.at_ms)
    later(sessions, clock, 10_000)
    assert sessions.counts() == {NEVER_SEEN: 0, ONLINE: 1, SLEEPING: 1, STALE: 7, OFFLINE: 1}


async def test_a_tick_looks_only_at_what_is_due(sessions: Sessions, clock):
    for device in range(20_000):
        sessions.active(device, clock.at_ms, 86_400)
    sessions.active(1, clock.at_ms, 60)
    clock.at_ms += 89_999
    assert sessions.advance() == 0
    clock.at_ms += 1
    assert sessions.advance() == 1


async def test_reports_do_not_grow_the_heap(sessions: Sessions, clock):
    for _ in range(1000):
        sessions.active(1, clock.at_ms)
        later(sessions, clock, 1000)
    assert len(sessions._due) == 1
    sessions.active(1, clock.at_ms, 10)  # brought forward: the old entry lies on until it is due, and then goes
    for _ in range(100):
        sessions.active(1, clock.at_ms)
        later(sessions, clock, 1000)
    assert len(sessions._due) == 1


async def test_a_whole_region_that_falls_silent_is_moved_over_several_ticks(sessions: Sessions, clock):
    for device in range(OVERDUE_MAX + 1):
        sessions.active(device, clock.at_ms)
    clock.at_ms += 90_000
    sessions.advance()
    assert sessions.counts()[STALE] == OVERDUE_MAX
    sessions.advance()
    assert sessions.counts()[STALE] == OVERDUE_MAX + 1


async def test_a_restart_forgets_nobody_and_takes_younger_epochs(sessions: Sessions, clock, disk):
    old = sessions.connected(1, 60, "mqtt", "peer")
    sessions.active(2, clock.at_ms, 86_400)
    sessions.sleeping(3, clock.at_ms + 1000)
    sessions.disconnected(4, sessions.connected(4, 60, "mqtt", ""))
    await sessions.flush()
    before = [sessions.get(device) for device in range(1, 5)]
    clock.at_ms += 600 * MINUTE_MS
    restarted = Sessions(disk, clock)
    await restarted.start()
    restarted.advance()
    after = [restarted.get(device) for device in range(1, 5)]
    assert [msgspec.structs.replace(it, expected_by_ms=0) for it in after] == [
        msgspec.structs.replace(it, expected_by_ms=0) for it in before
    ]
    assert restarted.counts() == sessions.counts()
    assert after[0].expected_by_ms == clock.at_ms + 90_000  # its silence meanwhile was ours
    later(restarted, clock, 90_000)
    assert [restarted.get(device).state for device in range(1, 5)] == [STALE, ONLINE, STALE, OFFLINE]
    new = restarted.connected(1, 60, "mqtt", "peer")
    assert new > old
    restarted.disconnected(1, old)
    assert restarted.get(1).state is ONLINE


async def test_changes_are_written_at_the_next_tick_and_mere_traffic_only_now_and_then(
    sessions: Sessions, clock, disk, monkeypatch
):
    monkeypatch.setattr(service, "TICK_S", 0.001)
    sessions.connected(1, 60, "mqtt", "")
    sessions.active(2, clock.at_ms)
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(sessions.run())
        await _until(lambda: disk.writes)
        assert disk.writes == [2]
        for _ in range(20):
            clock.at_ms += 100
            sessions.active(1, clock.at_ms)
            await asyncio.sleep(0.002)
        assert disk.writes == [2]
        clock.at_ms += SEEN_EVERY_MS
        await _until(lambda: len(disk.writes) > 1)
        assert disk.writes == [2, 1]
        assert (await disk.get(1)).last_seen_ms == START_MS + 2000
        clock.at_ms += 1000
        sessions.active(1, clock.at_ms)
        await asyncio.sleep(0.02)
        assert disk.writes == [2, 1]
        clock.at_ms += 79_000
        await _until(lambda: len(disk.writes) > 2)
        assert (await disk.get(2)).state is STALE
        loop.cancel()


async def _until(true) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.001)


async def test_a_storm_is_written_in_portions_and_the_end_writes_the_rest(sessions: Sessions, clock, disk):
    for device in range(2 * FLUSH_MAX + 1):
        sessions.active(device, clock.at_ms)
    await sessions.flush()
    assert disk.writes == [FLUSH_MAX, FLUSH_MAX, 1]
    sessions.active(7, clock.at_ms + 1)
    await sessions.flush()
    assert (await disk.get(7)).last_seen_ms == START_MS + 1
    await sessions.flush()
    assert disk.writes == [FLUSH_MAX, FLUSH_MAX, 1, 1]


async def test_what_could_not_be_written_is_counted_and_written_later(sessions: Sessions, clock, disk):
    sessions.active(1, clock.at_ms)
    disk.full = True
    await sessions.flush()
    assert sessions.failed_flushes == 1
    assert sessions.get(1).state is ONLINE
    disk.full = False
    await sessions.flush()
    assert (await disk.get(1)).state is ONLINE


async def test_a_cancelled_write_is_not_forgotten(sessions: Sessions, clock, disk, monkeypatch):
    sessions.active(1, clock.at_ms)
    reached = asyncio.Event()

    async def hang(_):
        reached.set()
        await asyncio.sleep(3600)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "save", hang)
        async with asyncio.TaskGroup() as group:
            flushing = group.create_task(sessions.flush())
            await reached.wait()
            flushing.cancel()
    await sessions.flush()
    assert await disk.get(1) == sessions.get(1)


@pytest.mark.slow
async def test_noting_activity_and_ticking_cost_no_more_with_many_devices(sessions: Sessions, clock):
    """Counted in lines that run, which no neighbour makes slower."""

    def lines() -> int:
        count = 0

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal count
            count += event == "line"
            return trace

        sys.settrace(trace)
        for _ in range(100):
            sessions.active(5, clock.at_ms)
            clock.at_ms += 250
            sessions.advance()
        sys.settrace(None)
        return count

    for device in range(10):
        sessions.active(device, clock.at_ms, 3600)
    few = lines()
    for device in range(100_000):
        sessions.active(device, clock.at_ms, 3600)
    assert lines() <= few * 1.1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("connect"), st.sampled_from([1, 60, 3600])),
        st.tuples(st.just("disconnect"), st.integers(0, 5)),
        st.tuples(st.just("active"), st.sampled_from([None, 1, 60])),
        st.tuples(st.just("sleep"), st.integers(0, 10**6)),
        st.tuples(st.just("wait"), st.integers(0, 10**7)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=30,
)


@given(STEPS)
def test_whatever_happens_silence_leads_offline_and_the_counts_are_right(steps):
    asyncio.run(_walk(steps))


async def _walk(steps) -> None:
    clock, disk = ManualClock(), Disk()
    sessions = Sessions(disk, clock)
    await sessions.start()
    epochs = [0]
    for step, value in steps:
        seen_ms = sessions.get(1).last_seen_ms
        if step == "connect":
            epochs.append(sessions.connected(1, value, "mqtt", ""))
            assert epochs[-1] > epochs[-2]
        elif step == "disconnect":
            epoch = epochs[-1 - value % len(epochs)]
            before = sessions.get(1)
            sessions.disconnected(1, epoch)
            assert epoch == epochs[-1] or sessions.get(1) == before
            assert sessions.get(1).last_seen_ms == seen_ms
        elif step == "active":
            sessions.active(1, clock.at_ms, value)
            assert sessions.get(1).state is ONLINE
        elif step == "sleep":
            sessions.sleeping(1, clock.at_ms + value)
            assert sessions.get(1).state is SLEEPING
        elif step == "wait":
            later(sessions, clock, value)
        else:
            await sessions.flush()
            sessions = Sessions(disk, clock)
            await sessions.start()
        known = sessions.get(1)
        assert sum(sessions.counts().values()) == (known.state is not NEVER_SEEN)
        assert sessions.counts()[known.state] == (known.state is not NEVER_SEEN)
        assert (known.expected_by_ms == 0) == (timeline.overdue(known.state) is None)
    later(sessions, clock, 10**9)
    later(sessions, clock, 10**9)
    assert sessions.get(1).state in {NEVER_SEEN, OFFLINE}


class TestThroughGateways:
    """A device behind a gateway: its session is the gateway's, unless a connection of its own is open."""

    def test_a_device_nobody_knew_is_online_through_the_gateway(self, sessions, clock):
        sessions.through("gw", [(7, 600)], clock.now_ms())
        session = sessions.get(7)
        assert (session.state, session.protocol, session.expected_interval_s) == (ONLINE, "via gw", 600)
        assert session.last_seen_ms == session.connected_ms == START_MS
        assert session.epoch > 0

    def test_an_open_connection_of_its_own_is_not_overridden_and_counts_as_activity(self, sessions, clock):
        epoch = sessions.connected(7, 60, "mqtt", "[::1]:1")
        clock.at_ms += 1000
        sessions.through("gw", [(7, 600)], clock.now_ms())
        session = sessions.get(7)
        assert (session.protocol, session.epoch, session.expected_interval_s) == ("mqtt", epoch, 60)
        assert session.last_seen_ms == START_MS + 1000
        sessions.disconnected(7, epoch)
        assert sessions.get(7).state is OFFLINE
        sessions.through("gw", [(7, 600)], clock.now_ms())
        assert (sessions.get(7).state, sessions.get(7).protocol) == (ONLINE, "via gw")

    def test_an_older_connection_that_ends_late_does_not_make_it_offline(self, sessions, clock):
        epoch = sessions.connected(7, 60, "mqtt", "[::1]:1")
        sessions.disconnected(7, epoch)
        sessions.through("gw", [(7, 60)], clock.now_ms())
        sessions.disconnected(7, epoch)
        assert sessions.get(7).state is ONLINE

    def test_the_same_gateway_again_is_only_activity(self, sessions, clock):
        sessions.through("gw", [(7, 60)], clock.now_ms())
        first = sessions.get(7)
        clock.at_ms += 5000
        sessions.through("gw", [(7, 60)], clock.now_ms())
        assert sessions.get(7) == msgspec.structs.replace(
            first, last_seen_ms=clock.at_ms, expected_by_ms=first.expected_by_ms + 5000
        )

    def test_it_goes_stale_by_its_own_interval_and_comes_back(self, sessions, clock):
        sessions.through("gw", [(7, 60), (8, 600)], clock.now_ms())
        clock.at_ms += 100_000
        sessions.advance()
        assert (sessions.get(7).state, sessions.get(8).state) == (STALE, ONLINE)
        sessions.through("gw", [(7, 60)], clock.now_ms())
        assert sessions.get(7).state is ONLINE

    def test_another_gateway_takes_over(self, sessions, clock):
        sessions.through("gw", [(7, 60)], clock.now_ms())
        before = sessions.get(7).epoch
        sessions.through("other", [(7, 60)], clock.now_ms())
        assert sessions.get(7).protocol == "via other"
        assert sessions.get(7).epoch > before

    def test_after_a_restart_nothing_is_attached(self, sessions, clock):
        sessions.connected(7, 60, "mqtt", "[::1]:1")
        sessions.through("gw", [(8, 60)], clock.now_ms())

        async def again():
            await sessions.flush()
            fresh = Sessions(sessions._presence, clock)
            await fresh.start()
            fresh.through("gw", [(7, 60), (8, 60)], clock.now_ms())
            return fresh

        fresh = asyncio.run(again())
        assert (fresh.get(7).protocol, fresh.get(8).protocol) == ("via gw", "via gw")
        assert fresh.get(8).epoch == sessions.get(8).epoch
