"""Intake: the order of commit and answer, what a shutdown waits for, and that one depositor can not spoil the rest."""

import asyncio

import pytest

from ringmain.model.errors import Failed

FULL = Failed("storage_full", "no room")


class Depositor:
    def __init__(self, name="", *, breaks=False):
        self.name, self.breaks = name, breaks
        self.settled, self.held = [], 0

    def settle(self, identifiers, failed):
        if self.breaks:
            raise RuntimeError("a depositor with a bug")
        self.settled.append((list(identifiers), failed))

    def refuse(self, identifiers, reason):
        pass

    def hold(self):
        self.held += 1

    def resume(self):
        self.held -= 1


def deposit(gateway, depositor, *identifiers):
    batch = gateway.intake.batch()
    batch.messages += len(identifiers)
    gateway.intake.enlist(depositor, list(identifiers))


async def test_one_that_breaks_keeps_nobody_from_the_answer(gateway, turns, caplog):
    first, bad, last = Depositor(), Depositor(breaks=True), Depositor()
    for each in (first, bad, last):
        deposit(gateway, each, b"\0\1")
    await turns()
    assert first.settled == last.settled == [([b"\0\1"], None)]
    assert "a depositor could not be told" in caplog.text
    deposit(gateway, first, b"\0\2")
    await turns()
    assert len(first.settled) == 2


async def test_identifiers_stay_in_the_order_in_which_they_came(gateway, turns):
    one = Depositor()
    deposit(gateway, one, b"1", b"2")
    deposit(gateway, one, b"3")
    await turns()
    assert one.settled == [([b"1", b"2", b"3"], None)]


async def test_the_list_of_a_depositor_is_not_shared_with_it(gateway, turns):
    one, mine = Depositor(), [b"1"]
    gateway.intake.enlist(one, mine)
    gateway.intake.enlist(one, [b"2"])
    assert mine == [b"1"]


async def test_drain_waits_for_the_commit_under_way_and_for_what_is_open(gateway, turns):
    one, two = Depositor(), Depositor()
    gateway.queue.open.clear()
    deposit(gateway, one, b"1")
    await turns()
    deposit(gateway, two, b"2")
    draining = asyncio.ensure_future(gateway.intake.drain())
    await turns()
    assert not draining.done()
    gateway.queue.open.set()
    await draining
    assert one.settled == [([b"1"], None)]
    assert two.settled == [([b"2"], None)]


async def test_drain_ends_though_more_and_more_comes(gateway):
    one = Depositor()
    deposit(gateway, one, b"1")

    async def append(body, records):
        await asyncio.sleep(0)
        deposit(gateway, one, b"more")
        return 1

    gateway.queue.append = append
    async with asyncio.timeout(5):
        await gateway.intake.drain()
    assert one.settled


async def test_drain_of_nothing(gateway):
    await gateway.intake.drain()
    assert gateway.queue.appends == 0


async def test_commits_never_overtake_each_other(gateway, turns):
    """The probe and the run may both want to commit: the second waits for the first."""
    one = Depositor()
    gateway.queue.open.clear()
    deposit(gateway, one, b"1")
    await turns()
    second = asyncio.ensure_future(gateway.intake._commit())
    await turns()
    assert gateway.queue.appends == 1
    gateway.queue.open.set()
    await second
    assert gateway.queue.appends == 2


async def test_receive_time_is_that_of_the_first_message(gateway, turns):
    gateway.clock.advance(3600)
    deposit(gateway, Depositor(), b"1")
    at_ms = gateway.clock.now_ms()
    gateway.clock.advance(10)
    deposit(gateway, Depositor(), b"2")
    await turns()
    assert [batch.received_ms for batch in gateway.queue.batches()] == [at_ms]


async def test_the_news_of_a_commit(gateway, turns):
    deposit(gateway, Depositor(), b"1", b"2")
    await turns()
    (news,) = gateway.committed
    assert (news.messages, news.batch.readings) == (2, 0)


async def test_without_room_nothing_is_kept_for_later(gateway, turns, monkeypatch):
    """What was answered with a failure must not be stored by the next commit: its sender will send it again."""
    monkeypatch.setattr("ringmain.gateway.intake.RETRY_S", 0.01)
    one = Depositor()
    gateway.queue.failing = FULL
    gateway.intake.batch().reject(1, "foreign_device", 5)
    deposit(gateway, one, b"1")
    await turns()
    assert one.settled == [([b"1"], FULL)]
    gateway.queue.failing = None
    deposit(gateway, one, b"2")
    await asyncio.sleep(0.05)
    assert gateway.rejected() == []
    assert one.settled[1:] == [([b"2"], None)]


@pytest.mark.parametrize("limit", ["OPEN_MESSAGES_MAX", "OPEN_BYTES_MAX"])
async def test_held_until_the_commit(gateway, turns, monkeypatch, limit):
    monkeypatch.setattr(f"ringmain.gateway.intake.{limit}", 0)
    one = Depositor()
    gateway.queue.open.clear()
    gateway.intake.batch().payload_bytes += 1
    deposit(gateway, one, b"1")
    assert one.held == 1
    await turns()
    assert one.held == 1
    gateway.queue.open.set()
    await turns()
    assert one.held == 0
