"""Forwarding: nothing is settled before it was acknowledged, whatever the uplink does; live goes first."""

import asyncio
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.services.forwarding.conftest import Gateway

from ringmain.model.errors import Failed, Refused
from ringmain.model.gateway import GatewaySettings
from ringmain.model.ids import Offset
from ringmain.services.forwarding import service


async def test_live_readings_go_up_and_leave_the_buffer_when_acknowledged(gateway):
    async with gateway.running():
        gateway.connect()
        gateway.uplink.held = True
        await gateway.append(1, 2)
        await gateway.until(lambda: gateway.uplink.waiting)
        await asyncio.sleep(0.01)
        assert gateway.buffer.status().readings == 2, "it was sent, and nobody has answered for it"
        gateway.uplink.held = False
        gateway.uplink.answer_all()
        await gateway.until(lambda: not gateway.buffer.status().rows)
        assert gateway.arrived == {("m1", 1): 1, ("m1", 2): 1}
        assert gateway.buffer.status().settled == 2


async def test_what_was_under_way_at_a_cut_goes_again(gateway):
    async with gateway.running():
        gateway.connect()
        gateway.uplink.held = True
        await gateway.append(1)
        await gateway.until(lambda: gateway.uplink.waiting)
        gateway.cut()
        await asyncio.sleep(0.01)
        assert gateway.buffer.status().readings == 1
        gateway.uplink.held = False
        gateway.connect()
        await gateway.until(lambda: not gateway.buffer.status().rows)
        assert gateway.arrived == {("m1", 1): 1}
        assert gateway.forwarding.resent == 1


async def test_without_an_uplink_everything_stays(gateway):
    async with gateway.running():
        for at in range(20):
            await gateway.append(at)
        await asyncio.sleep(0.02)
        assert gateway.buffer.status().readings == 20
        assert gateway.forwarding.drain().readings == 20
        assert gateway.forwarding.drain().seconds is None
        gateway.connect()
        await gateway.until(lambda: not gateway.buffer.status().rows)
        assert sum(gateway.arrived.values()) == 20


async def test_live_does_not_wait_for_the_backlog():
    gateway = Gateway(GatewaySettings(send_every_ms=0, backlog_bytes_s=1000))
    for at in range(50):
        await gateway.append(*range(at * 100, at * 100 + 100))
    async with gateway.running():
        gateway.connect()
        await gateway.until(lambda: gateway.forwarding.sent)
        await gateway.append(999_999)
        await gateway.until(lambda: ("m1", 999_999) in gateway.arrived)
        assert gateway.forwarding.lanes.border == 50


async def test_a_full_platform_keeps_everything_and_is_asked_again(gateway, monkeypatch):
    monkeypatch.setattr(service, "RETRY_S", 0.01)
    async with gateway.running():
        gateway.refuse = Failed("storage_full", "no room")
        gateway.connect()
        await gateway.append(1)
        await gateway.until(lambda: gateway.forwarding.resent)
        await gateway.append(2)
        await gateway.until(lambda: gateway.forwarding.resent >= 3)
        assert gateway.buffer.status().readings == 2
        assert gateway.forwarding.trouble == "no room"
        gateway.refuse = None
        await gateway.until(lambda: not gateway.buffer.status().rows)
        assert gateway.arrived == {("m1", 1): 1, ("m1", 2): 1}
        assert gateway.forwarding.trouble == ""


async def test_what_was_refused_counts_as_backlog_until_it_is_settled(gateway, monkeypatch):
    monkeypatch.setattr(service, "RETRY_S", 0.01)
    async with gateway.running():
        gateway.connect()
        await gateway.until(gateway.forwarding._is_connected)
        gateway.refuse = Failed("storage_full", "no room")
        await gateway.append(*range(500))
        assert gateway.forwarding.drain().readings == 0, "live as yet"
        await gateway.until(lambda: gateway.forwarding.resent)
        assert gateway.forwarding.drain().readings == 500
        assert gateway.forwarding.drain().seconds > 0
        gateway.refuse = None
        await gateway.until(lambda: not gateway.buffer.status().rows)
        assert gateway.forwarding.drain().readings == 0
        gateway.uplink.held = True
        await gateway.append(*range(500, 530))
        await gateway.until(lambda: gateway.uplink.waiting)
        assert gateway.forwarding.drain().readings == 0, "it is on its way, and live"


async def test_a_row_that_is_refused_does_not_hold_up_the_others(gateway, monkeypatch):
    monkeypatch.setattr(service, "RETRY_S", 0.01)
    plain = gateway.platform

    def picky(name, payload):
        before = dict(gateway.arrived)
        plain(name, payload)
        if ("m2", 5) in gateway.arrived:
            gateway.arrived.clear()
            gateway.arrived.update(before)
            raise Refused("too_large", "not this one")

    gateway.uplink.answer = picky
    async with gateway.running():
        gateway.connect()
        await gateway.append(5, device=2)
        await gateway.until(lambda: gateway.forwarding.resent)
        for at in range(3):
            await gateway.append(at)
            await gateway.until(lambda at=at: ("m1", at) in gateway.arrived)
        assert gateway.buffer.status().readings == 1


async def test_a_row_that_can_not_be_read_stays_and_blocks_nobody(gateway):
    await gateway.append(1)
    row = gateway.buffer.rows[Offset(1)]
    gateway.buffer.rows[Offset(1)] = type(row)(row.offset, False, 1, 1, 1, b"\x93\x09")
    await gateway.append(2)
    async with gateway.running():
        gateway.connect()
        await gateway.until(lambda: ("m1", 2) in gateway.arrived)
        await gateway.until(lambda: gateway.buffer.status().rows == 1)
        assert list(gateway.buffer.rows) == [1]


@pytest.mark.parametrize("live", [True, False])
async def test_large_dead_letters_go_up_in_several_messages_and_are_settled_together(gateway, live):
    payloads = [Random(at).randbytes(900_000) for at in range(5)]
    async with gateway.running():
        if live:
            gateway.connect()
            await gateway.until(gateway.forwarding._is_connected)
        await gateway.append_letters(*payloads)
        gateway.uplink.held = True
        if not live:
            gateway.connect()
        for answered in range(5):
            await gateway.until(lambda: gateway.uplink.waiting)
            assert gateway.buffer.status().rows == 1, f"only {answered} of its messages are acknowledged"
            gateway.uplink.answer_all()
        await gateway.until(lambda: not gateway.buffer.status().rows)
    assert gateway.letters == [("m1", payload) for payload in payloads]


@pytest.mark.slow
async def test_what_was_under_way_in_parts_goes_again_as_a_whole(gateway):
    """The first of its messages was acknowledged, the second was not: nothing of the row is settled."""
    async with gateway.running():
        await gateway.append(*range(60_000))
        gateway.uplink.held = True
        gateway.connect()
        await gateway.until(lambda: gateway.uplink.waiting)
        gateway.uplink.answer_all()
        await gateway.until(lambda: gateway.forwarding.sent and gateway.uplink.waiting)
        gateway.cut()
        await gateway.until(lambda: gateway.forwarding.resent)
        assert gateway.buffer.status().readings == 60_000
        gateway.uplink.held = False
        gateway.connect()
        await gateway.until(lambda: not gateway.buffer.status().rows)
    assert set(gateway.arrived) == {("m1", at) for at in range(60_000)}


@pytest.mark.slow
async def test_more_readings_than_the_platform_takes_at_once_all_arrive(gateway):
    """The simulated platform decodes with the platform's own limit."""
    async with gateway.running():
        gateway.connect()
        await gateway.append(*range(43_200), device=1)
        await gateway.append(*range(43_200), device=2)
        await gateway.until(lambda: not gateway.buffer.status().rows)
    assert set(gateway.arrived.values()) == {1}
    assert len(gateway.arrived) == 86_400


async def test_a_device_without_a_name_ends_nothing(gateway):
    async with gateway.running():
        gateway.connect()
        await gateway.append(1, device=9)
        await gateway.append(2)
        await gateway.until(lambda: gateway.buffer.status().rows == 1)
        assert gateway.arrived == {("m1", 2): 1}


async def test_a_sealed_row_above_the_packet_size_of_the_platform_arrives(gateway):
    await gateway.append(*(at * at * 7919 % 1_000_003 for at in range(3000)))
    await gateway.keeper.seal(now=True)
    (row,) = await gateway.buffer.read(Offset(0), 1 << 30, sealed=True)
    gateway.uplink.payload_bytes_max = len(row.body) // 3
    async with gateway.running():
        gateway.connect()
        await gateway.until(lambda: not gateway.buffer.status().rows)
    assert sum(gateway.arrived.values()) == 3000


async def test_the_backlog_has_one_message_on_its_way_until_an_answer_has_come_soon(gateway):
    for at in range(30):
        await gateway.append(at)
        await gateway.keeper.seal(now=True)
    gateway.uplink.held = True
    async with gateway.running():
        gateway.connect()
        for answer_s, waiting in [(10.0, 1), (0.5, 4), (10.0, 1), (10.0, 1), (0.1, 4)]:
            await gateway.until(lambda: gateway.uplink.waiting)
            gateway.clock.advance(answer_s)
            gateway.uplink.answer_all()
            await gateway.until(lambda waiting=waiting: gateway.uplink.waiting >= waiting)
            await asyncio.sleep(0.01)
            assert gateway.uplink.waiting == waiting
        await gateway.append(99)
        await gateway.until(lambda: gateway.uplink.waiting == 5)
        gateway.cut()
        gateway.connect()
        await gateway.until(lambda: gateway.uplink.waiting)
        await asyncio.sleep(0.01)
        assert gateway.uplink.waiting == 1, "of a new connection nothing is known"


async def test_a_lane_that_is_too_far_behind_skips_to_the_newest(gateway, monkeypatch):
    monkeypatch.setattr(service, "LIVE_BYTES_MAX", 2000)
    async with gateway.running():
        gateway.connect()
        gateway.uplink.held = True
        for at in range(60):
            await gateway.append(*range(at * 10, at * 10 + 10))
            await asyncio.sleep(0.001)
        assert gateway.uplink.waiting <= service.LIVE_SLOTS + service.BACKLOG_SLOTS, "the rest waits"
        gateway.uplink.answer_all()
        await gateway.until(lambda: gateway.forwarding.lanes.border > 0)
        gateway.uplink.held = False
        gateway.uplink.answer_all()
        await gateway.until(lambda: not gateway.buffer.status().rows)
        assert sum(gateway.arrived.values()) == 600
        assert set(gateway.arrived.values()) == {1}


@pytest.mark.slow
async def test_the_backlog_keeps_its_pace():
    """At most 2,000 bytes a second of the gateway's clock, whatever there is to send; and all of it goes."""
    gateway = Gateway(GatewaySettings(send_every_ms=0, backlog_bytes_s=2000))
    for at in range(30):
        await gateway.append(*(at * 100_003 + step * step * 31 for step in range(200)))
        gateway.clock.advance(100)
        await gateway.keeper.seal()
        gateway.clock.advance(100)
        await gateway.keeper.seal()
    size = gateway.buffer.status().sealed_bytes
    assert gateway.buffer.status().sealed_rows == 30
    async with gateway.running():
        gateway.connect()
        began_s = gateway.clock.monotonic_s()
        await gateway.until(lambda: not gateway.buffer.status().rows, 60)
        took_s = gateway.clock.monotonic_s() - began_s
    assert took_s > size / 2000 - 2, "faster than it may"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 40)),
            st.tuples(
                st.sampled_from(["cut", "cut after it arrived", "connect", "hold", "answer", "seal"]), st.just(0)
            ),
        ),
        max_size=40,
    )
)
async def test_whatever_the_uplink_does_everything_arrives(script):
    """At least once each, and nothing is left: the platform recognises what comes twice."""
    gateway = Gateway()
    at_ms = 0
    async with gateway.running():
        for step, count in script:
            if step == "append":
                await gateway.append(*range(at_ms, at_ms + count))
                at_ms += count
            elif step == "connect" and not gateway.uplink.is_up:
                gateway.connect()
            elif step.startswith("cut") and gateway.uplink.is_up:
                before = len(gateway.uplink.sent)
                gateway.cut(arrived="arrived" in step)
                for name, payload in gateway.uplink.sent[before:]:
                    gateway.platform(name, payload)
            elif step == "hold":
                gateway.uplink.held = True
            elif step == "answer":
                gateway.uplink.held = False
                gateway.uplink.answer_all()
            elif step == "seal":
                gateway.clock.advance(100)
                await gateway.keeper.seal()
                gateway.clock.advance(100)
                await gateway.keeper.seal()
            await asyncio.sleep(0)
        gateway.uplink.held = False
        gateway.uplink.answer_all()
        if not gateway.uplink.is_up:
            gateway.connect()
        await gateway.until(lambda: not gateway.buffer.status().rows, 10)
    assert {stamp for _, stamp in gateway.arrived} == set(range(at_ms))
    status = gateway.buffer.status()
    assert status.taken == status.settled == at_ms
