"""Chunks: what must be refused, for whom it is counted, and that judging whole arrays is the same as one by one."""

import json
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.gateway import columns
from ringmain.gateway.columns import Lanes, OpenBatch
from ringmain.gateway.translate import bulk
from ringmain.gateway.translate.bulk import BulkTelemetry
from ringmain.model.batch import DeadLetter, Stamped, block_of, decode_batch, encode_batch
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.bulk.codec import encode_chunk
from ringmain.model.device import GENERIC_PROFILE, METER_PROFILE, Channel, ChannelKind, Device, LifecycleState, Profile
from ringmain.model.gateway import GATEWAY_PROFILE
from ringmain.model.standing import ALWAYS, Standing
from ringmain.model.time import INSTANT_MAX

NOW = 1_700_000_000_000
SINCE = 1_600_000_000_000
ACTIVE, PROVISIONED, SUSPENDED = LifecycleState.ACTIVE, LifecycleState.PROVISIONED, LifecycleState.SUSPENDED
REGISTERED, DECOMMISSIONED = LifecycleState.REGISTERED, LifecycleState.DECOMMISSIONED
GATEWAY = Device(1, "acme", "gw", GATEWAY_PROFILE, ACTIVE, "main", 0, 0)


def device(key, state=ACTIVE, profile=METER_PROFILE):
    return Device(key, "acme", f"m{key}", profile.name, state, "main", 0, SINCE)


class Desk:
    """A translator, whom the gateway speaks for, and what became of chunks."""

    def __init__(self, *standings, others=()):
        self.standings = {it.device.id: it for it in standings}
        self.others = {it.id: it.key for it in others}
        self.seen = []
        self.lanes = Lanes()
        self.translator = BulkTelemetry(
            self, self.lanes, lambda gateway, them: self.seen.append((gateway.id, [it.device.id for it in them]))
        )

    def of(self, gateway):
        return self.standings if gateway == GATEWAY.key else {}

    def key_of(self, tenant, id):
        return self.others.get(id) if tenant == "acme" else None

    def take(self, *payloads, gateway=GATEWAY):
        self.batch = OpenBatch(NOW)
        self.dead = self.translator.translate(self.batch, gateway, payloads, "mqtt", "chunks")
        self.sealed = decode_batch(encode_batch(self.batch.seal()))
        return self

    def chunk(self, names, *blocks, letters=()):
        return self.take(encode_chunk(Chunk(tuple(names), tuple(blocks), tuple(letters))))

    @property
    def readings(self):
        """Counter of (device, channel, at, value, exact, quarantined, stamped)."""
        found = Counter()
        for block in self.sealed.blocks:
            values = block.values.cast("q" if block.exact else "d").tolist()
            k = len(block.channels)
            rows = zip(block.devices.cast("q").tolist(), block.stamps.cast("q").tolist(), strict=True)
            for row, (key, at_ms) in enumerate(rows):
                for place, channel in enumerate(block.channels):
                    value = values[row * k + place]
                    found[key, channel, at_ms, value, block.exact, block.quarantined, block.stamped] += 1
        return found

    @property
    def rejected(self):
        return {(it.device, it.reason): it.count for it in self.sealed.rejections}

    @property
    def letters(self):
        return [(it.device, it.reason, it.payload) for it in self.sealed.dead_letters]


def energy(places, stamps, values=None):
    return block_of(("energy_wh",), places, stamps, values or [100 + n for n in range(len(places))], exact=True)


def one(key, at_ms, value, *, quarantined=False):
    return (key, "energy_wh", at_ms, value, True, quarantined, Stamped.DEVICE)


# -- what can not be decoded ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"{}", b"\x01" * 40, encode_chunk(Chunk(("m2",), (energy([0], [5]),)))[:-1]])
def test_what_is_no_chunk_is_a_dead_letter_of_the_gateway_whole(payload):
    desk = Desk(Standing(device(2), METER_PROFILE)).take(payload)
    assert desk.letters == [(GATEWAY.key, "undecodable_payload", payload)]
    assert [it.payload for it in desk.dead] == [payload]
    assert desk.sealed.dead_letters[0].detail
    assert (desk.readings, desk.rejected, desk.seen) == ({}, {}, [])


def test_a_chunk_beyond_the_limit_is_a_dead_letter_and_its_neighbours_are_not(monkeypatch):
    monkeypatch.setattr(bulk, "CHUNK_READINGS_MAX", 2)
    small, large = (encode_chunk(Chunk(("m2",), (energy([0] * n, range(1, n + 1)),))) for n in (2, 3))
    desk = Desk(Standing(device(2), METER_PROFILE)).take(small, large, small)
    assert [it[2] for it in desk.letters] == [large]
    assert sum(desk.readings.values()) == 4
    assert desk.batch.messages == 3


def test_an_empty_chunk_is_nothing():
    desk = Desk().chunk(())
    assert (desk.letters, desk.readings, desk.rejected, desk.seen) == ([], {}, {}, [])
    assert desk.batch.messages == 1


# -- who may not --------------------------------------------------------------------------------------------------


def test_who_is_not_delegated_is_refused_and_counted_on_the_device_or_else_on_the_gateway():
    desk = Desk(Standing(device(2), METER_PROFILE), others=[device(3)])
    desk.chunk(["m2", "m3", "nobody"], energy([0, 1, 1, 2], [5, 5, 6, 5]))
    assert desk.rejected == {(3, "not_delegated"): 2, (GATEWAY.key, "not_delegated"): 1}
    assert set(desk.readings) == {one(2, 5, 100)}
    assert desk.seen == [("gw", ["m2"])]


def test_nobody_speaks_for_the_devices_of_another_gateway():
    desk = Desk(Standing(device(2), METER_PROFILE), others=[device(2)])
    other = Device(9, "acme", "other", GATEWAY_PROFILE, ACTIVE, "main", 0, 0)
    desk.take(encode_chunk(Chunk(("m2",), (energy([0], [5]),))), gateway=other)
    assert desk.rejected == {(2, "not_delegated"): 1}
    assert desk.readings == {}
    stranger = Device(8, "rival", "gw", GATEWAY_PROFILE, ACTIVE, "main", 0, 0)
    desk.take(encode_chunk(Chunk(("m2",), (energy([0], [5]),))), gateway=stranger)
    assert desk.rejected == {(8, "not_delegated"): 1}, "a device of another tenant is not there"


def test_a_delegation_is_dated_in_event_time_half_open():
    desk = Desk(Standing(device(2), METER_PROFILE, ((10, 20), (30, INSTANT_MAX + 1))))
    desk.chunk(["m2"], energy([0] * 8, [0, 9, 10, 19, 20, 29, 30, INSTANT_MAX]))
    assert {at for _, _, at, *_ in desk.readings} == {10, 19, 30, INSTANT_MAX}
    assert desk.rejected == {(2, "not_delegated"): 4}


@pytest.mark.parametrize(
    ("state", "reason"), [(REGISTERED, "device_not_active"), (DECOMMISSIONED, "device_not_active")]
)
def test_some_states_permit_nothing_whatever_its_stamp(state, reason):
    block = block_of(("energy_wh", "import_wh"), [0, 0], [5, NOW], [1, 2, 3, 4], exact=True)
    desk = Desk(Standing(device(2, state), METER_PROFILE)).chunk(["m2"], block)
    assert desk.rejected == {(2, reason): 4}, "readings are counted, not messages"
    assert desk.readings == {}
    assert desk.seen == []


def test_of_a_suspended_device_only_what_it_said_before_is_taken():
    desk = Desk(Standing(device(2, SUSPENDED), METER_PROFILE))
    desk.chunk(["m2"], energy([0] * 4, [5, SINCE - 1, SINCE, SINCE + 1]))
    assert set(desk.readings) == {one(2, 5, 100), one(2, SINCE - 1, 101)}
    assert desk.rejected == {(2, "device_suspended"): 2}
    desk.chunk(["m2"], energy([0], [SINCE]))
    assert desk.seen == [("gw", ["m2"])], "what was refused is no sign of life"


def test_a_provisioned_device_waits_in_quarantine_beside_an_active_one():
    desk = Desk(Standing(device(2, PROVISIONED), METER_PROFILE), Standing(device(3), METER_PROFILE))
    desk.chunk(["m3", "m2"], energy([0, 1], [5, 5]))
    assert set(desk.readings) == {one(3, 5, 100), one(2, 5, 101, quarantined=True)}
    assert desk.seen == [("gw", ["m3", "m2"])]


def test_not_delegated_comes_before_the_state():
    desk = Desk(Standing(device(2, DECOMMISSIONED), METER_PROFILE, ((10, 20),)))
    desk.chunk(["m2"], energy([0, 0], [5, 15]))
    assert desk.rejected == {(2, "not_delegated"): 1, (2, "device_not_active"): 1}


# -- what does not fit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.5, math.inf, -math.inf, math.nan, 2.0**63, -(2.0**63) - 2048])
def test_a_number_that_does_not_fit_an_exact_channel_is_set_aside_with_its_message(value):
    block = block_of(("energy_wh", "power_w"), [0, 0, 0], [5, 6, 7], [1.0, 0.5, value, 0.5, 3.0, 0.5], exact=False)
    desk = Desk(Standing(device(2), METER_PROFILE)).chunk(["m2"], block)
    assert {(at, channel, value) for _, channel, at, value, *_ in desk.readings} == {
        (5, "energy_wh", 1), (5, "power_w", 0.5), (7, "energy_wh", 3), (7, "power_w", 0.5),
    }  # fmt: skip
    ((key, reason, payload),) = desk.letters
    assert (key, reason) == (2, "undecodable_payload")
    told = value if math.isfinite(value) else None
    assert json.loads(payload) == [{"ts": 6, "values": {"energy_wh": told, "power_w": 0.5}}]
    assert desk.dead == [], "it is the device's letter, not the gateway's"


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_no_measurement_is_infinite_or_no_number(value):
    block = block_of(("power_w",), [0, 0], [5, 6], [value, 1.5], exact=False)
    desk = Desk(Standing(device(2), METER_PROFILE)).chunk(["m2"], block)
    assert [value for _, _, _, value, *_ in desk.readings] == [1.5]
    assert len(desk.letters) == 1


@pytest.mark.parametrize("at_ms", [-1, INSTANT_MAX + 1])
def test_a_stamp_that_there_can_not_be_is_set_aside(at_ms):
    desk = Desk(Standing(device(2), METER_PROFILE), Standing(device(3), METER_PROFILE))
    desk.chunk(["m2", "m3"], energy([0, 1, 0, 1], [5, at_ms, at_ms, 5]))
    assert set(desk.readings) == {one(2, 5, 100), one(3, 5, 103)}
    assert sorted(key for key, *_ in desk.letters) == [2, 3], "one letter for each device"


@pytest.mark.parametrize("name", ["", "1st", "a\n", "x" * 65])
def test_a_name_that_no_channel_may_have_is_set_aside(name):
    block = block_of(("power_w", name), [0, 0], [5, 6], [1, 2, 3, 4], exact=False)
    desk = Desk(Standing(device(2), METER_PROFILE)).chunk(["m2"], block, energy([0], [5]))
    assert set(desk.readings) == {one(2, 5, 100)}
    ((_, reason, payload),) = desk.letters
    assert reason == "undecodable_payload"
    assert json.loads(payload)[1] == {"ts": 6, "values": {"power_w": 3.0, name: 4.0}}


def test_a_gateway_uses_up_no_more_names_than_a_device(monkeypatch):
    monkeypatch.setattr(columns, "CHANNEL_NAMES_MAX", 2)
    desk = Desk(Standing(device(2), METER_PROFILE))
    blocks = [block_of((f"c{n}",), [0], [5], [1.0], exact=False) for n in range(4)]
    desk.chunk(["m2"], *blocks)
    assert len(desk.readings) == 2
    assert [reason for _, reason, _ in desk.letters] == ["too_many_channels"] * 2


# -- kinds --------------------------------------------------------------------------------------------------------


def test_the_kind_of_a_channel_is_the_profiles_and_not_the_chunks():
    counting = Profile("counting", channels=(Channel("n", kind=ChannelKind.EXACT), Channel("x")))
    desk = Desk(Standing(device(2, profile=counting), counting), Standing(device(3), GENERIC_PROFILE))
    as_floats = block_of(("n", "x"), [0, 1], [5, 5], [7.0, 0.5, 8.0, 1.5], exact=False)
    as_integers = block_of(("n", "x"), [0, 1], [6, 6], [9, 1, 2**53 + 1, 2], exact=True)
    desk.chunk(["m2", "m3"], as_floats, as_integers)
    kinds = {(key, channel): exact for key, channel, _, _, exact, *_ in desk.readings}
    assert kinds == {(2, "n"): True, (2, "x"): False, (3, "n"): False, (3, "x"): False}
    found = {(key, channel, at): value for key, channel, at, value, *_ in desk.readings}
    assert found[2, "n", 5] == 7
    assert found[2, "n", 6] == 9
    assert found[3, "n", 6] == float(2**53 + 1)


def test_large_integers_stay_what_they_are():
    desk = Desk(Standing(device(2), METER_PROFILE))
    values = [-(2**63), 2**63 - 1, 2**53 + 1]
    desk.chunk(["m2"], energy([0] * 3, [1, 2, 3], values))
    assert sorted(value for _, _, _, value, *_ in desk.readings) == sorted(values)


def test_stamps_of_arrival_stay_marked():
    block = block_of(("energy_wh",), [0], [5], [1], exact=True, stamped=Stamped.ARRIVAL)
    desk = Desk(Standing(device(2), METER_PROFILE)).chunk(["m2"], block, energy([0], [6]))
    assert {(at, stamped) for *_, at, _, _, _, stamped in desk.readings} == {(5, Stamped.ARRIVAL), (6, Stamped.DEVICE)}


def test_a_changed_profile_has_a_lane_of_its_own():
    desk = Desk(Standing(device(2), METER_PROFILE))
    desk.chunk(["m2"], block_of(("level",), [0], [5], [1.0], exact=False))
    changed = Profile(METER_PROFILE.name, channels=(Channel("level", kind=ChannelKind.EXACT),))
    desk.standings["m2"] = Standing(device(2), changed)
    desk.chunk(["m2"], block_of(("level",), [0], [6], [2.0], exact=False))
    assert [exact for *_, exact, _, _ in desk.readings] == [True]


# -- dead letters inside ------------------------------------------------------------------------------------------


def test_dead_letters_become_those_of_their_devices():
    desk = Desk(Standing(device(2), METER_PROFILE), others=[device(3)])
    letters = [
        DeadLetter(0, 77, "mqtt", "telemetry", b"\xff{", "undecodable_payload", "no JSON"),
        DeadLetter(1, 77, "mqtt", "telemetry", b"x", "undecodable_payload", ""),
    ]
    desk.chunk(["m2", "m3"], letters=letters)
    assert list(desk.sealed.dead_letters) == [
        DeadLetter(2, 77, "mqtt", "telemetry", b"\xff{", "undecodable_payload", "no JSON")
    ]
    assert desk.rejected == {(3, "not_delegated"): 1}
    assert desk.seen == [("gw", ["m2"])]


def test_what_a_gateway_says_of_a_dead_letter_is_bounded():
    desk = Desk(Standing(device(2), METER_PROFILE))
    desk.chunk(["m2"], letters=[DeadLetter(0, 2**64 - 1, "d" * 999, "t" * 999, b"", "made up", "x" * 999)])
    (letter,) = desk.sealed.dead_letters
    assert letter == DeadLetter(2, INSTANT_MAX, "d" * 32, "t" * 256, b"", "undecodable_payload", "x" * 500)


def test_a_dead_letter_of_a_suspended_device_is_judged_by_when_it_came():
    desk = Desk(Standing(device(2, SUSPENDED), METER_PROFILE))
    letters = [DeadLetter(0, at, "mqtt", "t", b"", "undecodable_payload", "") for at in (SINCE - 1, SINCE)]
    desk.chunk(["m2"], letters=letters)
    assert [it.received_ms for it in desk.sealed.dead_letters] == [SINCE - 1]
    assert desk.rejected == {(2, "device_suspended"): 1}


# -- all of it, one by one ------------------------------------------------------------------------------------------

KINDS = [METER_PROFILE, GENERIC_PROFILE, Profile("counting", channels=(Channel("power_w", kind=ChannelKind.EXACT),))]
spans = st.sampled_from([(ALWAYS,), ((0, 20),), ((10, 20), (30, INSTANT_MAX + 1)), ((25, INSTANT_MAX + 1),)])
channel_sets = st.sampled_from(
    [("energy_wh",), ("power_w",), ("energy_wh", "power_w"), ("power_w", "level", "import_wh")]
)
floats = st.sampled_from([0.0, 1.0, -3.0, 0.25, math.inf, math.nan, 1e19])


@st.composite
def worlds(draw):
    """Standings of some of m0..m4, and blocks over all of them."""
    known = {}
    for n in range(draw(st.integers(0, 4))):
        profile, state = draw(st.sampled_from(KINDS)), draw(st.sampled_from(LifecycleState))
        held = Device(n + 2, "acme", f"m{n}", profile.name, state, "main", 0, draw(st.sampled_from([0, 15, 99])))
        known[f"m{n}"] = Standing(held, profile, draw(spans))
    blocks = []
    for _ in range(draw(st.integers(0, 4))):
        channels, exact, n = draw(channel_sets), draw(st.booleans()), draw(st.integers(1, 8))
        numbers = st.integers(-5, 5) if exact else floats
        values = draw(st.lists(numbers, min_size=n * len(channels), max_size=n * len(channels)))
        places = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
        stamps = draw(st.lists(st.integers(-1, 40), min_size=n, max_size=n))
        blocks.append((channels, exact, places, stamps, values))
    return known, blocks


def judged(known, place, at_ms):
    """What the design says, for one reading."""
    standing = known.get(f"m{place}")
    if standing is None or not (standing.covers(at_ms) or (at_ms < 0 and standing.spans[0][0] == 0)):
        return "not_delegated"
    state = standing.device.state
    if state is SUSPENDED and at_ms >= standing.device.state_since_ms:
        return "device_suspended"
    return "device_not_active" if state in {REGISTERED, DECOMMISSIONED} else ""


@settings(max_examples=150)
@given(worlds())
@pytest.mark.slow
def test_arrays_judge_as_one_by_one(world):
    known, blocks = world
    desk = Desk(*known.values(), others=[device(6)])
    desk.chunk([f"m{n}" for n in range(5)], *(block_of(c, p, s, v, exact=e) for c, e, p, s, v in blocks))
    stored, refused, aside = Counter(), Counter(), 0
    for channels, exact, places, stamps, values in blocks:
        for row, (place, at_ms) in enumerate(zip(places, stamps, strict=True)):
            numbers = values[row * len(channels) : (row + 1) * len(channels)]
            if reason := judged(known, place, at_ms):
                key = known[f"m{place}"].device.key if f"m{place}" in known else desk.others.get(f"m{place}", 1)
                refused[key, reason] += len(channels)
                continue
            standing = known[f"m{place}"]
            kinds = [standing.profile.is_exact(channel) for channel in channels]
            fits = at_ms >= 0 and all(
                math.isfinite(x) and (not kind or exact or (x == int(x) and -(2**63) <= x < 2**63))
                for x, kind in zip(numbers, kinds, strict=True)
            )
            aside += not fits
            for channel, kind, x in zip(channels, kinds, numbers, strict=True) if fits else ():
                quarantined = standing.device.state is PROVISIONED
                stored[standing.device.key, channel, at_ms, x, kind, quarantined, Stamped.DEVICE] += 1
    assert desk.readings == stored
    assert desk.rejected == refused
    assert sum(len(json.loads(payload)) for _, _, payload in desk.letters) == aside
