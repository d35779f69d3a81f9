"""Cursors: what was given out comes back as it was; what was made up is refused."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.apps.server.api.kit.problems import Rejected
from ringmain.apps.server.api.paging import TURN_ROWS, long_page_of, page_of, read_cursor, write_cursor
from ringmain.apps.server.api.words import INT64_MAX


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "\x00",
        "ä",
        "====",
        "W10",
        write_cursor(("a",)),
        write_cursor((1, "a")),
        write_cursor((-1,)),
        write_cursor((INT64_MAX + 1,)),
        "W1tb" * 60,
        "bnVsbA",
    ],
)
def test_a_cursor_of_another_route_or_of_nobody_is_refused(cursor):
    with pytest.raises(Rejected) as refusal:
        read_cursor(cursor, int)
    assert (refusal.value.code, refusal.value.parameter) == ("unprocessable", "cursor")


@given(st.text(max_size=300))
def test_noise_is_a_refusal_and_never_a_fault(cursor):
    try:
        key = read_cursor(cursor, int, str)
    except Rejected:
        return
    assert key is not None
    assert [type(part) for part in key] == [int, str]


@given(st.integers(0, INT64_MAX), st.text(st.characters(exclude_categories=["Cs"]), max_size=64))
def test_a_cursor_comes_back_as_the_key_it_was_made_of(at, name):
    assert read_cursor(write_cursor((at, name)), int, str) == (at, name)


def test_no_cursor_is_the_first_page():
    assert read_cursor(None, int) is None


def test_a_page_names_the_next_one_only_where_there_is_more():
    full = page_of([1, 2, 3], 2, lambda row: (row,), str)
    assert full.items == ["1", "2"]
    assert read_cursor(full.next, int) == (2,)
    assert page_of([1, 2], 2, lambda row: (row,), str).next is None
    assert page_of([], 2, lambda row: (row,), str).items == []


@given(st.integers(0, 3 * TURN_ROWS), st.integers(1, 3 * TURN_ROWS))
async def test_a_long_page_is_the_same_page(count, limit):
    rows = list(range(min(count, limit + 1)))
    assert await long_page_of(rows, limit, lambda row: (row,), str) == page_of(rows, limit, lambda row: (row,), str)


async def test_a_long_page_lets_others_run():
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    await long_page_of(list(range(10 * TURN_ROWS)), 10 * TURN_ROWS, lambda row: (row,), str)
    task.cancel()
    assert turns >= 10
