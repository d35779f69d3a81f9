"""A meter's diary, and what it says of an instant."""

import time

import msgspec
import pytest

from ringmain.simulator.progress import Diary, Entry, entries, last_entry, unacknowledged_at


def entry(at, connection, connected, sent, acknowledged):
    return Entry(float(at), connection, connected, sent, acknowledged)


def test_a_diary_that_is_not_there_yet_has_no_entry(tmp_path):
    assert last_entry(tmp_path / "none") is None
    (tmp_path / "empty").touch()
    assert last_entry(tmp_path / "empty") is None


def test_entries_are_whole_lines_and_what_is_not_new_is_left_out(tmp_path):
    path = tmp_path / "diary"
    before = time.monotonic()
    with Diary(path) as diary:
        diary.note(connection=1, connected=False, sent=0, acknowledged=0)
        for sent in (5, 5, 9):
            diary.note(connection=1, connected=True, sent=sent, acknowledged=2)
            assert last_entry(path).sent == sent
    assert [(e.connected, e.sent, e.acknowledged) for e in entries(path)] == [(False, 0, 0), (True, 5, 2), (True, 9, 2)]
    assert before <= entries(path)[0].at_s <= entries(path)[-1].at_s <= time.monotonic()


def test_the_last_entry_is_found_at_the_end_of_a_long_diary(tmp_path):
    path = tmp_path / "diary"
    path.write_bytes(b"".join(msgspec.json.encode(entry(n, 1, True, n, 0)) + b"\n" for n in range(1_000)))
    assert last_entry(path).sent == 999


LIFE = [
    entry(1, 1, False, 0, 0),
    entry(2, 1, True, 0, 0),
    entry(3, 1, True, 8, 0),
    entry(4, 1, True, 8, 5),
    entry(5, 1, True, 20, 5),
    entry(6, 1, True, 20, 11),
    entry(7, 2, False, 20, 11),
    entry(8, 2, True, 20, 11),
    entry(9, 2, True, 20, 20),
]


@pytest.mark.parametrize(
    ("at", "count"),
    [
        (0.5, 0),  # before there was any connection
        (1.5, 0),  # no CONNACK yet
        (2.5, 0),  # nothing said
        (3.5, 0),  # eight on their way, all of them acknowledged later on this connection
        (5.5, 9),  # 20 said, 11 acknowledged until the connection ended
        (6.5, 9),
        (7.5, 0),  # nobody there
        (8.5, 0),  # acknowledged in the end
    ],
)
def test_unacknowledged_is_what_the_connection_of_that_instant_never_acknowledged(at, count):
    assert unacknowledged_at(LIFE, at) == count


def test_what_is_said_after_the_instant_does_not_count():
    life = [entry(1, 1, True, 4, 4), entry(2, 1, True, 30, 4), entry(3, 2, False, 30, 4)]
    assert unacknowledged_at(life, 1.5) == 0
    assert unacknowledged_at(life, 2.5) == 26
