"""Series and the messages made of them."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.simulator.series import Manner, Row, Series, SeriesError, manner_of, messages, read_series


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1: expected the columns at_ms"),
        ("at_ms\n1\n", "line 1"),
        ("ts,energy_wh\n1,2\n", "line 1"),
        ("at_ms,energy_wh\n1,2\n3\n", "line 3: 1 fields"),
        ("at_ms,energy_wh\n1,2\n3,4.5\n", "line 3: energy_wh: '4.5'"),
        ("at_ms,energy_wh\nnow,2\n", "line 2: at_ms: 'now'"),
    ],
)
def test_a_file_that_is_no_series_is_refused_with_its_place(tmp_path, text, place):
    file = tmp_path / "series.csv"
    file.write_text(text)
    with pytest.raises(SeriesError, match=place):
        read_series(file)


def test_rows_keep_the_files_order_and_its_duplicates(tmp_path):
    file = tmp_path / "series.csv"
    file.write_text("at_ms,a_wh,b_wh\n20,1,2\n10,3,4\n10,3,4\n")
    assert read_series(file) == Series(("a_wh", "b_wh"), (Row(20, (1, 2)), Row(10, (3, 4)), Row(10, (3, 4))))


def test_payloads_are_single_records_and_lists():
    series = Series(("e_wh",), (Row(1, (5,)), Row(2, (6,)), Row(3, (7,)), Row(4, (8,))))
    payloads = list(messages(series, Manner(1, 16), Random(1)))
    assert set(payloads) & {b'{"ts":1,"values":{"e_wh":5}}', b'[{"ts":1,"values":{"e_wh":5}}]'}
    assert {payload[:1] for payload in payloads} == {b"{", b"["}


@given(st.lists(st.tuples(st.integers(0, 2**41), st.integers(-9, 9)), max_size=200), st.integers(0, 2**32))
def test_every_row_is_said_once_and_in_order_whatever_the_seed(rows, seed):
    series = Series(("e_wh",), tuple(Row(at, (value,)) for at, value in rows))
    rng = Random(seed)
    manner = manner_of(rng)
    said = []
    for payload in messages(series, manner, rng):
        decoded = msgspec.json.decode(payload)
        records = decoded if isinstance(decoded, list) else [decoded]
        assert 1 <= len(records) <= manner.rows_per_message_max
        said += [(record["ts"], record["values"]["e_wh"]) for record in records]
    assert said == rows


def test_a_seed_repeats_itself_and_seeds_differ():
    series = Series(("e_wh",), tuple(Row(at, (at,)) for at in range(500)))

    def said(seed):
        rng = Random(seed)
        return list(messages(series, manner_of(rng), rng))

    assert said(7) == said(7)
    assert len({len(said(seed)) for seed in range(12)}) > 6
