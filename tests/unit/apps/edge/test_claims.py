"""A meter's claim goes up, its answer comes down, and nothing is promised that was not heard."""

import asyncio

import msgspec
import pytest

from ringmain.adapters.simulated.uplink import SimulatedUplink
from ringmain.apps.edge import claims
from ringmain.apps.edge.claims import PassedOn
from ringmain.model.errors import Refused


@pytest.fixture
def uplink():
    return SimulatedUplink()


async def asked(uplink: SimulatedUplink, count: int = 1) -> list[dict]:
    while len(uplink.sent) < count:
        await asyncio.sleep(0)
    return [msgspec.json.decode(body) for _, body in uplink.sent]


async def test_each_hears_its_own_answer(uplink):
    uplink.connect()
    passed = PassedOn(uplink)
    waiting = [asyncio.ensure_future(passed.redeem(f"rmc_{at}", b'{"nonce": "n"}')) for at in range(3)]
    for message in reversed(await asked(uplink, 3)):
        assert message["body"] == {"nonce": "n"}
        passed.answered(msgspec.json.encode({"id": message["id"], "answer": {"of": message["claim"]}}))
    assert [msgspec.json.decode(await each) for each in waiting] == [{"of": f"rmc_{at}"} for at in range(3)]
    assert {name for name, _ in uplink.sent} == {"claims"}


async def test_without_an_uplink_the_claim_is_still_good(uplink):
    with pytest.raises(Refused, match="can not be reached") as refused:
        await PassedOn(uplink).redeem("rmc_1", b"")
    assert "still good" in refused.value.hint
    assert uplink.sent == []


async def test_a_cut_and_a_silence_are_no_answer(uplink, monkeypatch):
    monkeypatch.setattr(claims, "ANSWER_S_MAX", 0.02)
    passed = PassedOn(uplink)
    uplink.connect()
    with pytest.raises(Refused, match="did not answer in time"):
        await passed.redeem("rmc_1", b"{}")
    uplink.held = True
    waiting = asyncio.ensure_future(passed.redeem("rmc_2", b"{}"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    uplink.cut()
    with pytest.raises(Refused, match="did not answer in time"):
        await waiting


async def test_what_nobody_asked_or_nobody_understands_is_nothing(uplink):
    uplink.connect()
    passed = PassedOn(uplink)
    for noise in (b"", b"{", b'{"id": 1}', b'{"id": 99, "answer": {}}'):
        passed.answered(noise)
    with pytest.raises(Refused, match="not JSON"):
        await passed.redeem("rmc_1", b"{")


async def test_so_many_at_a_time_and_no_more(uplink, monkeypatch):
    monkeypatch.setattr(claims, "WAITING_MAX", 1)
    uplink.connect()
    passed = PassedOn(uplink)
    first = asyncio.ensure_future(passed.redeem("rmc_1", b""))
    (message,) = await asked(uplink)
    with pytest.raises(Refused):
        await passed.redeem("rmc_2", b"")
    passed.answered(msgspec.json.encode({"id": message["id"], "answer": {}}))
    assert await first == b"{}"
