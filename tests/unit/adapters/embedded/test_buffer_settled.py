"""Settled rows leave: in a second, at once where room is wanted, later where the disk does not let them now."""

import asyncio

import pytest

from ringmain.adapters.embedded import buffer_settled
from ringmain.adapters.embedded.buffer_settled import Settled
from ringmain.model.errors import Failed
from ringmain.model.ids import Offset


class File:
    """Deletes nothing, counts what it is asked, and fails as often as it is told."""

    def __init__(self):
        self.broken = ""
        self.failures = 0
        self.runs = 0

    async def run(self, work):
        self.runs += 1
        if self.failures:
            self.failures -= 1
            raise Failed("storage_full", "no room")


@pytest.fixture
def file(monkeypatch):
    monkeypatch.setattr(buffer_settled, "SETTLE_WITHIN_S", 0.01)
    return File()


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_they_go_by_themselves(file):
    settled = Settled(file)
    settled.add([Offset(1)])
    settled.add([Offset(2)])
    assert file.runs == 0
    await until(lambda: not settled._waiting)
    assert file.runs == 1


async def test_they_go_at_once_where_room_is_wanted(file, monkeypatch):
    monkeypatch.setattr(buffer_settled, "SETTLE_WITHIN_S", 3600)
    settled = Settled(file)
    settled.hurry()
    settled.add([Offset(1)])
    settled.hurry()
    settled.hurry()
    await until(lambda: not settled._waiting)
    assert file.runs == 1


async def test_what_a_full_disk_refuses_is_tried_until_it_goes(file):
    settled = Settled(file)
    file.failures = 3
    settled.add([Offset(1)])
    await until(lambda: not settled._waiting)
    assert file.runs == 4


async def test_a_broken_file_is_left_alone(file):
    settled = Settled(file)
    file.failures, file.broken = 9, "broken"
    settled.add([Offset(1)])
    await until(lambda: file.runs == 1)
    await asyncio.sleep(0.05)
    assert file.runs == 1


async def test_many_go_in_transactions_that_are_short(file, monkeypatch):
    monkeypatch.setattr(buffer_settled, "DELETE_ROWS_MAX", 10)
    settled = Settled(file)
    settled.add(Offset(at) for at in range(95))
    await settled.close()
    assert file.runs == 10
    assert not settled._waiting


async def test_closing_gives_up_what_can_not_be_deleted(file):
    settled = Settled(file)
    file.failures = 1
    settled.add([Offset(1)])
    await settled.close()
    assert file.runs == 1
    await asyncio.sleep(0.05)
    assert file.runs == 1, "no timer goes on"
