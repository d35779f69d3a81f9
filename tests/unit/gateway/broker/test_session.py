"""One session by itself: its record, and what waits in which order. What passes through the broker is beside."""

import msgspec
import pytest
from tests.unit.gateway.broker.conftest import FULL, Wire, World

from ringmain.gateway.broker.message import Message, Waiting
from ringmain.gateway.broker.room import Room
from ringmain.gateway.broker.session import Session, decode_record
from ringmain.gateway.broker.subscriptions import Held
from ringmain.protocols.mqtt.packets import Will


class All:
    tenant, owner = "t", ""

    def receives(self, topic):
        return topic != "secret"


@pytest.fixture
def made():
    world = World()
    session = Session(("t", "user/me", "c"), 7, world.intake, Room(), world.dropped.append)
    session.expiry_s = 100
    session.on_disk = True
    return world, session


def waiting(n, qos=1, topic="a"):
    return Waiting(Message(topic, b"%d" % n, qos), qos, topic, sequence=n if qos else 0)


def give(session, message):
    """As the broker does when the commit, if it needs one, is done."""
    if message.qos:
        session.expect(message)
        session.arrived(message)
        session.pump(0)
    else:
        session.offer(message, 0)


def test_a_record_that_is_none():
    with pytest.raises(msgspec.DecodeError):
        decode_record(b"\x91\x01")


async def test_the_record_says_all_of_it(made):
    _, session = made
    session.held = {"a": Held("a", "a", 1, no_local=True, number=5)}
    session.will = Will("gone", b"bye", 1, True, 5)
    session.gone_ms, session.sequence = 123, 9
    record = decode_record(session.record())
    assert (record.tenant, record.owner, record.client_id, record.expiry_s) == ("t", "user/me", "c", 100)
    assert (record.gone_ms, record.sequence, record.held) == (123, 9, tuple(session.held.values()))
    assert (record.will.topic, record.will.payload, record.will.delay_s) == ("gone", b"bye", 5)


async def test_nothing_is_sent_without_a_connection(made):
    world, session = made
    give(session, waiting(1))
    give(session, waiting(0, 0))
    session.pump(0)
    assert session.size == 1
    assert world.dropped == ["not_read"]


async def test_nothing_is_sent_to_who_may_not_hear_it(made):
    world, session = made
    session.attach(Wire(None), All())
    give(session, waiting(1, topic="secret"))
    give(session, waiting(0, 0, "secret"))
    assert session.link.messages == []
    assert world.dropped == ["not_authorized", "not_read"]


async def test_what_was_on_its_way_goes_first_again_in_its_order(made):
    _, session = made
    link = Wire(None, room=2)
    session.attach(link, All())
    for n in (1, 2, 3):
        give(session, waiting(n))
    assert link.payloads == [b"1", b"2"]
    session.detach(0)
    again = Wire(None)
    session.attach(again, All())
    session.pump(0)
    assert again.got == [(b"1", 1, 1, True), (b"2", 1, 2, True), (b"3", 1, 3, False)]


async def test_an_identifier_that_is_still_on_its_way_is_not_given_to_another(made):
    _, session = made
    session.attach(Wire(None), All())
    give(session, waiting(1))
    give(session, waiting(32_768))
    assert session.link.identifiers == [1]
    session.link.flight.discard(1)
    session.delivered(1, 0)
    assert session.link.identifiers == [1, 1]


async def test_an_acknowledgement_of_nothing_changes_nothing(made):
    world, session = made
    session.attach(Wire(None), All())
    session.delivered(5, 0)
    session.received(5, lambda: world.dropped.append("released"))
    assert world.dropped == []
    assert not world.pending


async def test_nothing_is_released_before_its_commit_and_of_no_session_that_is_kept(made):
    world, session = made
    session.attach(Wire(None), All())
    give(session, waiting(1, 2))
    said = []
    session.received(1, lambda: said.append("kept"))
    assert said == []
    await world.commit()
    assert said == ["kept"]
    session.expiry_s = 0
    session.received(1, lambda: said.append("not kept"))
    assert said == ["kept", "not kept"]


async def test_a_pubrec_without_room_is_tried_again_and_not_for_another_connection(made):
    world, session = made
    session.attach(Wire(None), All())
    give(session, waiting(1, 2))
    said = []
    session.received(1, lambda: said.append("released"))
    world.queue.failing = FULL
    await world.commit()
    assert said == []
    world.queue.failing = None
    await world.commit()
    assert said == ["released"]
    give(session, waiting(2, 2))
    session.received(2, lambda: said.append("never"))
    world.queue.failing = FULL
    session.detach(0)
    session.attach(Wire(None), All())
    await world.commit()
    world.queue.failing = None
    await world.commit()
    session.pump(0)
    assert said == ["released"]
    assert session.link.got == [(b"2", 2, 2, True)]


async def test_when_it_is_over_nothing_stays_on_disk(made):
    world, session = made
    world.queue._records = {session.record_key: session.record()}
    give(session, waiting(1))
    session.unreleased = {b"\0\1"}
    session.forget()
    give(session, waiting(2))
    await world.commit()
    assert (session.size, world.queue._records) == (0, {})


async def test_the_room_is_given_back_however_a_message_ends(made):
    _, session = made
    room = session._room
    session.attach(Wire(None, room=1, bytes_max=3), All())
    give(session, waiting(1))
    give(session, waiting(2))
    give(session, waiting(0, 0))
    assert room.bytes > 0
    session.detach(0)
    session.attach(Wire(None), All())
    session.pump(0)
    for identifier in (1, 2):
        session.delivered(identifier, 0)
    assert room.bytes == 0
    give(session, Waiting(Message("a", b"long", 1), 1, "a", sequence=3))
    give(session, waiting(4, topic="secret"))
    session.forget()
    give(session, waiting(5))
    assert room.bytes == 0
    expected = waiting(6)
    session.expect(expected)
    session.expect_no_more(expected)
    assert (room.bytes, session.size) == (0, 0)
