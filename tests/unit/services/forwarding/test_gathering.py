"""Rows become chunks that the platform takes; one that can not stays, is told of once, and holds up nobody."""

import logging
from random import Random

import pytest
from tests.unit.services.forwarding.conftest import readings_of

from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.bulk.codec import encode_chunk
from ringmain.model.bulk.layout import CHUNK_READINGS_MAX
from ringmain.model.ids import DeviceId, DeviceKey, Offset
from ringmain.ports.buffer import Row
from ringmain.services.forwarding.gathering import Gathering

FAR = 1 << 30


def raw(offset: int, *stamps: int, device: int = 1) -> Row:
    block = block_of(("e",), [device] * len(stamps), stamps, stamps, exact=True)
    return Row(Offset(offset), False, len(stamps), 0, 0, encode_batch(Batch(FORMAT, 0, (block,))))


def sealed(offset: int, readings: int) -> Row:
    values = [Random(at).random() for at in range(readings)]
    body = encode_chunk(Chunk(("m1",), (block_of(("p",), [0] * readings, range(readings), values, exact=False),)))
    return Row(Offset(offset), True, readings, 0, 0, body)


def gathering(names=None) -> Gathering:
    found = {DeviceKey(1): DeviceId("m1")} if names is None else names
    return Gathering(lambda: found)


def test_a_sealed_row_goes_up_as_it_lies_there():
    row = sealed(1, 50)
    rows, payloads = gathering().messages([row], FAR)
    assert rows == [row]
    assert payloads[0] is row.body
    assert len(payloads) == 1


def test_one_that_is_larger_than_a_packet_goes_up_in_several():
    row = sealed(1, 500)
    rows, payloads = gathering().messages([row], 1000)
    assert rows == [row]
    assert len(payloads) > 2
    assert max(map(len, payloads)) <= 1000
    assert sorted(each for payload in payloads for each in readings_of(payload)) == [("m1", at) for at in range(500)]


@pytest.mark.slow
def test_one_of_an_earlier_version_with_more_readings_than_the_platform_takes_is_cut():
    readings = CHUNK_READINGS_MAX + 10
    block = block_of(("e",), [0] * readings, range(readings), range(readings), exact=True)
    row = Row(Offset(1), True, readings, 0, 0, encode_chunk(Chunk(("m1",), (block,))))
    _, payloads = gathering().messages([row], FAR)
    assert sum(len(readings_of(payload)) for payload in payloads) == readings


def test_a_row_without_a_name_is_left_out_until_there_are_new_names(caplog):
    names = {DeviceKey(1): DeviceId("m1")}
    found = gathering(names)
    rows = [raw(1, 10), raw(2, 20, device=2), raw(3, 30)]
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            taken, pieces = found.raw(rows, FAR)
            assert [row.offset for row in taken] == [1, 3]
            assert sorted(each for piece in pieces for each in readings_of(piece.body)) == [("m1", 10), ("m1", 30)]
    assert len(caplog.records) == 1, "told once"
    assert [found.may(row) for row in rows] == [True, False, True]
    names[DeviceKey(2)] = DeviceId("m2")
    assert found.may(rows[1])
    assert [row.offset for row in found.raw(rows, FAR)[0]] == [1, 2, 3]


def test_a_row_that_no_packet_takes_stays():
    row = sealed(1, 5)
    found = gathering()
    assert found.messages([row], 20) == ([], [])
    assert not found.may(row)
    damaged = Row(Offset(2), True, 5, 0, 0, b"no chunk, and larger than the packet")
    assert found.messages([damaged], 20) == ([], [])
