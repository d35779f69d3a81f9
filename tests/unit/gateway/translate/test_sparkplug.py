"""Sparkplug nodes at the door: what becomes a reading, of whom, what is refused, and when a rebirth is asked for."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest

from ringmain.gateway.columns import Lanes, OpenBatch
from ringmain.gateway.translate.sparkplug import SparkplugTelemetry, refusal_of
from ringmain.gateway.translate.sparkplug_counted import Counted
from ringmain.gateway.translate.sparkplug_host import REBIRTH_INTERVAL_MS, SparkplugHost, rebirth_payload
from ringmain.model.batch import decode_batch, encode_batch
from ringmain.model.device import (
    GENERIC_PROFILE,
    METER_PROFILE,
    PERMISSIONS,
    Device,
    LifecycleState,
    Principal,
)
from ringmain.model.errors import ERRORS
from ringmain.model.standing import Standing
from ringmain.model.time import INSTANT_MAX
from ringmain.protocols.sparkplug.metric import Kind, Metric, Payload
from ringmain.protocols.sparkplug.payload import encode_payload
from ringmain.protocols.sparkplug.values import DataType, metric_of
from ringmain.protocols.sparkplug.wire import bytes_field, integer_field

VECTORS = Path(__file__).parents[3] / "vectors" / "sparkplug"
NOW = 1_700_000_000_000
SINCE = NOW - 1_000
ACTIVE, PROVISIONED, SUSPENDED = LifecycleState.ACTIVE, LifecycleState.PROVISIONED, LifecycleState.SUSPENDED
DOUBLE, INT, BOOLEAN = DataType.DOUBLE, DataType.INT32, DataType.BOOLEAN
ASK = ("acme", "spBv1.0/g/NCMD/node", 0, False)


def device(key, id, state=ACTIVE, profile=GENERIC_PROFILE):
    return Device(key, "acme", id, profile.name, state, "main", 0, SINCE)


NODE = device(1, "node")


class Desk:
    """A translator, one node and its delegations, and what became of what it said."""

    def __init__(self, *standings, profile=GENERIC_PROFILE, state=ACTIVE):
        self.who = Principal(device(1, "node", state, profile), profile)
        self.standings = {it.device.id: it for it in standings}
        self.sent, self.counts, self.seen, self.gone = [], Counter(), [], []
        self.now = NOW
        host = SparkplugHost("ringmain", lambda *message: self.sent.append(message), self.count)
        self.translator = SparkplugTelemetry(
            host, self, Lanes(),
            on_seen=lambda node, them: self.seen.append((node.id, [it.device.id for it in them])),
            on_gone=lambda node, them: self.gone.append((node.id, [it.device.id for it in them])),
        )  # fmt: skip

    def count(self, why, number):
        self.counts[why] += number

    def of(self, gateway):
        return self.standings if gateway == 1 else {}

    def take(self, topic, *payloads):
        self.batch = OpenBatch(self.now)
        dead = self.translator.translate(self.batch, self.who, payloads, "mqtt", topic)
        self.sealed = decode_batch(encode_batch(self.batch.seal()))
        assert tuple(dead) == self.sealed.dead_letters
        assert self.batch.messages == len(payloads)
        return self

    def say(self, kind, *metrics, seq=None, below="", at=NOW):
        topic = f"spBv1.0/g/{kind}/node{'/' if below else ''}{below}"
        return self.take(topic, encode_payload(Payload(at, metrics, seq)))

    def born(self, *metrics, seq=0, number=0):
        return self.say("NBIRTH", metric_of("bdSeq", DataType.INT64, number), *metrics, seq=seq)

    @property
    def readings(self):
        """{(device, channel, at): value} where no reading came twice."""
        found = {}
        for block in self.sealed.blocks:
            values = block.values.cast("q" if block.exact else "d").tolist()
            k = len(block.channels)
            for row, (key, at) in enumerate(
                zip(block.devices.cast("q").tolist(), block.stamps.cast("q").tolist(), strict=True)
            ):
                for place, channel in enumerate(block.channels):
                    assert (key, channel, at) not in found
                    found[key, channel, at] = values[row * k + place]
        return found

    @property
    def rejected(self):
        return {(it.device, it.reason): it.count for it in self.sealed.rejections}

    @property
    def details(self):
        assert all(it.reason == "undecodable_payload" for it in self.sealed.dead_letters)
        return [it.detail for it in self.sealed.dead_letters]

    @property
    def asked(self):
        return [(tenant, topic, qos, retain) for tenant, topic, _, qos, retain in self.sent]


def short(alias, value, kind=Kind.DOUBLE, at=None):
    return Metric(alias=alias, timestamp=at, kind=kind, value=value)


# -- who may publish where --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("spBv1.0/g/NDATA/node", ""), ("spBv1.0/any group/NBIRTH/node", ""), ("spBv1.0/g/DDEATH/node/d", ""),
        ("spBv1.0/g/NDATA/other", "foreign_device"), ("spBv1.0/g/DDATA/other/node", "foreign_device"),
        ("spBv1.0/g/NDEATH/g_node", "foreign_device"),
        ("spBv1.0/g/NCMD/node", "not_authorized"), ("spBv1.0/g/DCMD/node/d", "not_authorized"),
        ("spBv1.0/STATE/ringmain", "not_authorized"),
        ("spBv1.0/g/NDATA", "unknown_topic"), ("spBv1.0/g/OTHER/node", "unknown_topic"), ("telemetry", "unknown_topic"),
    ],
)  # fmt: skip
def test_a_node_publishes_below_its_own_id(topic, reason):
    assert refusal_of(NODE, topic) == reason
    if reason:
        assert reason in ERRORS
        desk = Desk().take(topic, b"x", b"y")
        assert (desk.rejected, desk.details, desk.readings, desk.sent) == ({(1, reason): 2}, [], {}, [])


# -- readings ---------------------------------------------------------------------------------------------------------


def test_a_birth_is_readings_and_data_goes_on_by_alias():
    desk = Desk().born(metric_of("Motor/Speed", DOUBLE, 1.5, alias=1, timestamp=5), metric_of("On", BOOLEAN, True))
    assert desk.readings == {(1, "Motor_Speed", 5): 1.5, (1, "On", NOW): 1.0}
    desk.say("NDATA", short(1, 2.5, at=6), short(1, 3.5, at=7), seq=1)
    assert desk.readings == {(1, "Motor_Speed", 6): 2.5, (1, "Motor_Speed", 7): 3.5}
    assert (desk.details, desk.sent, desk.rejected, +desk.counts) == ([], [], {}, {})


def test_exact_channels_stay_whole():
    large = 2**53 + 1
    desk = Desk(profile=METER_PROFILE)
    desk.born(
        metric_of("import_wh", DataType.UINT64, large), metric_of("Meter/export_wh", INT, -3),
        metric_of("power_w", INT, -7), metric_of("power_wh", DOUBLE, 4.0), metric_of("at", DataType.DATETIME, NOW),
    )  # fmt: skip
    assert desk.readings == {
        (1, "import_wh", NOW): large, (1, "Meter_export_wh", NOW): -3, (1, "power_w", NOW): -7.0,
        (1, "power_wh", NOW): 4, (1, "at", NOW): float(NOW),
    }  # fmt: skip
    exact = {channel: block.exact for block in desk.sealed.blocks for channel in block.channels}
    assert {name for name in exact if exact[name]} == {"import_wh", "Meter_export_wh", "power_wh"}


def test_history_is_stored_like_any_other():
    desk = Desk().born(metric_of("a", DOUBLE, 1.0, alias=1, timestamp=NOW))
    desk.say("NDATA", Metric(alias=1, timestamp=5, is_historical=True, kind=Kind.DOUBLE, value=9.0), seq=1)
    assert desk.readings == {(1, "a", 5): 9.0}


def test_one_metric_twice_at_one_time_is_two_readings_for_the_store_to_judge():
    desk = Desk().born(metric_of("a", DOUBLE, 1.0, alias=1))
    desk.say("NDATA", short(1, 1.0), short(1, 2.0), seq=1)
    (block,) = desk.sealed.blocks
    assert (block.messages, block.values.cast("d").tolist()) == (2, [1.0, 2.0])


def test_what_is_no_reading_is_counted_and_its_neighbours_are_stored():
    desk = Desk().born(
        metric_of("ok", DOUBLE, 1.0),
        Metric("null", datatype=DOUBLE, is_null=True),
        Metric("transient", datatype=INT, is_transient=True, kind=Kind.INT, value=1),
        metric_of("nan", DOUBLE, math.nan),
        metric_of("inf", DOUBLE, -math.inf),
        Metric("maker", datatype=DataType.STRING, kind=Kind.STRING, value="ACME"),
        Metric("image", datatype=DataType.FILE, kind=Kind.BYTES, value=b"\0"),
        Metric("curve", datatype=DataType.FLOAT_ARRAY, kind=Kind.BYTES, value=b"\0\0\0\0"),
        Metric("odd", datatype=99, kind=Kind.INT, value=1),
    )
    assert desk.readings == {(1, "ok", NOW): 1.0}
    assert desk.counts == {
        Counted.NULL: 1, Counted.TRANSIENT: 1, Counted.NOT_FINITE: 2, Counted.TEXT: 1, Counted.BYTES: 1,
        Counted.ARRAY: 1, Counted.UNKNOWN_TYPE: 1,
    }  # fmt: skip
    assert desk.details == []


def test_what_is_not_opened_is_counted():
    metrics = [
        bytes_field(1, b"table") + integer_field(4, 16) + bytes_field(17, b"\xff"),
        bytes_field(1, b"motor") + integer_field(4, 19) + bytes_field(18, b"\xff"),
        bytes_field(1, b"on") + integer_field(4, 11) + bytes_field(9, b"\xff") + integer_field(14, 1),
    ]
    birth = encode_payload(Payload(NOW, (metric_of("bdSeq", DataType.INT64, 0),), 0))
    desk = Desk().take("spBv1.0/g/NBIRTH/node", birth + b"".join(bytes_field(2, each) for each in metrics))
    assert desk.readings == {(1, "on", NOW): 1.0}
    assert desk.counts == {Counted.DATASET: 1, Counted.TEMPLATE: 1, Counted.ANNOTATED: 1}


@pytest.mark.parametrize(
    ("metric", "detail"),
    [
        (short(1, 0.5), "whole units"),
        (short(1, 2.0**63), "64 bits"),
        (short(1, 1, Kind.INT), "none of DOUBLE"),
        (short(1, 1.0, at=INSTANT_MAX + 1), "milliseconds"),
    ],
)
def test_a_payload_with_one_value_that_does_not_fit_is_a_dead_letter_whole(metric, detail):
    desk = Desk().born(metric_of("a_wh", DOUBLE, 1.0, alias=1), metric_of("b", DOUBLE, 1.0, alias=2))
    desk.say("NDATA", short(2, 5.0), metric, seq=1)
    assert desk.readings == {}
    assert detail in desk.details[0]
    letter = desk.sealed.dead_letters[0]
    assert (letter.device, letter.door, letter.topic) == (1, "mqtt", "spBv1.0/g/NDATA/node")
    assert letter.payload == encode_payload(Payload(NOW, (short(2, 5.0), metric), 1))
    desk.say("NDATA", short(2, 6.0), seq=2)
    assert (desk.readings, desk.sent) == ({(1, "b", NOW): 6.0}, []), "what was declared stays declared"


def test_a_metric_without_any_time():
    desk = Desk()
    desk.take(
        "spBv1.0/g/NBIRTH/node",
        encode_payload(Payload(None, (metric_of("bdSeq", DataType.INT64, 0), metric_of("a", INT, 1)), 0)),
    )
    assert "time None" in desk.details[0]
    assert desk.say("NDATA", metric_of("a", INT, 1), seq=1).readings == {(1, "a", NOW): 1.0}


def test_a_provisioned_node_waits_in_quarantine():
    desk = Desk(state=PROVISIONED).born(metric_of("a", DOUBLE, 1.0))
    assert [block.quarantined for block in desk.sealed.blocks] == [True]


def test_names_without_end(monkeypatch):
    monkeypatch.setattr("ringmain.gateway.columns.CHANNEL_NAMES_MAX", 1)
    desk = Desk().born(metric_of("a", DOUBLE, 1.0), metric_of("b", DOUBLE, 1.0))
    assert [it.reason for it in desk.sealed.dead_letters] == ["too_many_channels"]
    assert desk.readings == {}


# -- names that become one --------------------------------------------------------------------------------------------


def test_a_collision_is_a_dead_letter_that_names_both_and_neither_is_stored():
    desk = Desk().born(
        metric_of("a/b", DOUBLE, 1.0, alias=1), metric_of("a b", DOUBLE, 2.0, alias=2), metric_of("c", DOUBLE, 3.0)
    )
    assert desk.details == ["'a/b' and 'a b' would both be a_b: neither is stored"]
    assert desk.readings == {(1, "c", NOW): 3.0}
    desk.say("NDATA", short(1, 5.0), short(2, 5.0), metric_of("c", DOUBLE, 6.0), seq=1)
    assert (desk.readings, desk.details, desk.counts) == ({(1, "c", NOW): 6.0}, [], {Counted.COLLISION: 4})
    desk.born(metric_of("a/b", DOUBLE, 1.0))
    assert (desk.readings, desk.details) == ({(1, "a_b", NOW): 1.0}, [])


def test_a_device_can_collide_with_its_node():
    desk = Desk().born(metric_of("d_a", DOUBLE, 1.0, alias=1))
    desk.say("DBIRTH", metric_of("a", DOUBLE, 2.0), seq=1, below="d")
    assert desk.details == ["'d_a' and 'd/a' would both be d_a: neither is stored"]
    assert desk.say("NDATA", short(1, 3.0), seq=2).readings == {}
    desk.say("DDEATH", seq=3, below="d")
    assert desk.say("NDATA", short(1, 3.0), seq=4).readings == {(1, "d_a", NOW): 3.0}


def test_strings_claim_no_channel():
    desk = Desk().born(
        Metric("a/b", datatype=DataType.STRING, kind=Kind.STRING, value="x"), metric_of("a_b", DOUBLE, 1.0)
    )
    assert (desk.readings, desk.details) == ({(1, "a_b", NOW): 1.0}, [])


def test_many_collisions_fit_the_detail():
    desk = Desk().born(*(metric_of(f"m{n}{sign}", DOUBLE, 1.0) for n in range(9) for sign in "/ "))
    assert desk.details[0].count("would both be") == 3


# -- devices below a node ---------------------------------------------------------------------------------------------


def test_a_device_that_is_not_delegated_is_channels_of_its_node():
    desk = Desk().born()
    desk.say("DBIRTH", metric_of("a/b", DOUBLE, 1.0, alias=1), seq=1, below="pump 1")
    assert desk.readings == {(1, "pump_1_a_b", NOW): 1.0}
    assert desk.say("DDATA", short(1, 2.0), seq=2, below="pump 1").readings == {(1, "pump_1_a_b", NOW): 2.0}
    desk.say("DDEATH", seq=3, below="pump 1")
    assert (desk.seen, desk.gone) == ([], [])


def test_a_delegated_device_has_its_own_channels_profile_and_lifecycle():
    meter = Standing(device(2, "m2", profile=METER_PROFILE), METER_PROFILE)
    waiting = Standing(device(3, "m3", PROVISIONED), GENERIC_PROFILE)
    desk = Desk(meter, waiting).born(metric_of("import_wh", INT, 1))
    desk.say("DBIRTH", metric_of("import_wh", INT, 7, alias=1), seq=1, below="m2")
    assert (desk.readings, desk.details) == ({(2, "import_wh", NOW): 7}, [])
    assert [block.quarantined for block in desk.sealed.blocks] == [False]
    desk.say("DBIRTH", metric_of("a", DOUBLE, 1.0), seq=2, below="m3")
    assert [block.quarantined for block in desk.sealed.blocks] == [True]
    assert desk.seen == [("node", ["m2"]), ("node", ["m3"])]
    desk.say("DDEATH", seq=3, below="m3")
    desk.say("NDEATH", metric_of("bdSeq", DataType.INT64, 0))
    assert desk.gone == [("node", ["m3"]), ("node", ["m2"])]


def test_a_delegation_is_dated_in_event_time():
    desk = Desk(Standing(device(2, "m2"), GENERIC_PROFILE, ((10, 20),))).born()
    metrics = [metric_of(name, DOUBLE, 1.0, timestamp=at) for at in (9, 10, 19, 20) for name in ("a", "b")]
    desk.say("DBIRTH", *metrics, seq=1, below="m2")
    assert {at for _, _, at in desk.readings} == {10, 19}
    assert desk.rejected == {(2, "not_delegated"): 4}, "and it does not become the node's"


@pytest.mark.parametrize("state", list(LifecycleState))
def test_the_state_of_a_delegated_device_decides(state):
    desk = Desk(Standing(device(2, "m2", state), GENERIC_PROFILE)).born()
    stamps = (SINCE - 1, SINCE)
    desk.say("DBIRTH", *(metric_of("a", DOUBLE, 1.0, timestamp=at) for at in stamps), seq=1, below="m2")
    stored = {at for _, _, at in desk.readings}
    if PERMISSIONS[state].telemetry != "refused":
        assert (stored, desk.rejected) == (set(stamps), {})
    elif state is SUSPENDED:
        assert (stored, desk.rejected) == ({SINCE - 1}, {(2, "device_suspended"): 1})
    else:
        assert (stored, desk.rejected, desk.seen) == (set(), {(2, "device_not_active"): 2}, [])


# -- what is missing --------------------------------------------------------------------------------------------------


def test_after_a_restart_a_node_is_asked_once_and_what_can_not_be_named_is_kept():
    desk = Desk().say("NDATA", short(1, 1.0), seq=7)
    assert desk.details == ["no NBIRTH is known; no birth in force declares alias 1; a rebirth is asked for"]
    desk.say("NDATA", short(1, 2.0), seq=8)
    desk.say("DDATA", short(2, 2.0), seq=9, below="d")
    assert desk.sent == [("acme", "spBv1.0/g/NCMD/node", rebirth_payload(NOW), 0, False)]
    assert desk.counts == {Counted.REBIRTH_ASKED: 1, Counted.REBIRTH_HELD: 2}
    desk.born(metric_of("a", DOUBLE, 1.0, alias=1))
    assert desk.say("NDATA", short(1, 3.0), seq=1).readings == {(1, "a", NOW): 3.0}
    assert len(desk.sent) == 1


def test_a_node_that_does_not_answer_is_asked_again_later():
    desk = Desk().say("NDATA", short(1, 1.0), seq=7)
    desk.now += REBIRTH_INTERVAL_MS
    desk.say("NDATA", short(1, 1.0), seq=8)
    assert desk.asked == [ASK, ASK]


@pytest.mark.parametrize("seq", [0, 2])
def test_a_gap_or_a_message_out_of_order_asks(seq):
    desk = Desk().born(metric_of("a", DOUBLE, 1.0, alias=1))
    desk.say("NDATA", metric_of("a", DOUBLE, 2.0), seq=seq)
    assert (desk.readings, desk.details, desk.asked) == ({(1, "a", NOW): 2.0}, [], [ASK])
    desk.say("NDATA", short(1, 3.0), seq=seq + 1)
    assert desk.readings == {}
    assert "a message is missing" in desk.details[0]


def test_an_alias_of_no_birth_asks():
    desk = Desk().born(metric_of("a", DOUBLE, 1.0, alias=1))
    desk.say("NDATA", short(1, 2.0), short(2, 2.0), seq=1)
    assert (desk.readings, desk.asked) == ({}, [ASK])
    assert desk.say("NDATA", short(1, 3.0), seq=2).readings == {(1, "a", NOW): 3.0}


def test_the_request_goes_to_the_group_that_the_message_came_from():
    desk = Desk().take("spBv1.0/other group/NDATA/node", encode_payload(Payload(NOW, (), 0)))
    assert desk.asked == [("acme", "spBv1.0/other group/NCMD/node", 0, False)]


def test_a_late_will_of_an_older_connection_ends_nothing():
    desk = Desk().born(metric_of("a", DOUBLE, 1.0, alias=1), number=5)
    desk.say("NDEATH", metric_of("bdSeq", DataType.INT64, 4))
    assert desk.counts == {Counted.OLD_DEATH: 1}
    assert desk.say("NDATA", short(1, 2.0), seq=1).readings == {(1, "a", NOW): 2.0}
    desk.say("NDEATH", metric_of("bdSeq", DataType.UINT64, 5))
    desk.say("NDATA", short(1, 3.0), seq=2)
    assert (desk.readings, desk.asked) == ({}, [ASK])


@pytest.mark.parametrize("payload", [b"\xff", b"{}", encode_payload(Payload(NOW, ())), rebirth_payload(NOW)])
@pytest.mark.parametrize("kind", ["NBIRTH", "NDATA", "NDEATH"])
def test_what_is_no_such_payload_is_a_dead_letter_and_after_it_no_alias_is_believed(kind, payload):
    desk = Desk().born(metric_of("a", DOUBLE, 1.0, alias=1))
    desk.take(f"spBv1.0/g/{kind}/node", payload)
    assert [it.payload for it in desk.sealed.dead_letters] == [payload]
    assert (desk.readings, desk.sent) == ({}, [])
    desk.say("NDATA", short(1, 2.0), seq=1)
    assert bool(desk.readings) == (kind == "NDEATH"), "whose loss loses nothing"
    assert desk.asked == ([] if kind == "NDEATH" else [ASK])


def test_many_payloads_of_one_read():
    desk = Desk().born(metric_of("a", DOUBLE, 1.0, alias=1))
    payloads = [encode_payload(Payload(at, (short(1, 2.0),), at % 256)) for at in range(1, 300)]
    desk.take("spBv1.0/g/NDATA/node", *payloads)
    assert len(desk.readings) == 299
    assert desk.batch.payload_bytes == sum(map(len, payloads))
    assert desk.sent == []


def test_a_device_that_is_born_over_and_over_before_its_node_leaves_nothing_behind():
    desk = Desk()
    for seq in range(5):
        desk.say("DBIRTH", metric_of(f"m{seq}", DOUBLE, 1.0), seq=seq, below="d")
        assert desk.readings == {(1, f"d_m{seq}", NOW): 1.0}
    (node,) = desk.translator._host._nodes.values()
    assert node.channels._channels == {}


def test_a_birth_that_another_implementation_wrote():
    (made,) = json.loads((VECTORS / "pysparkplug.json").read_text(encoding="utf-8"))
    desk = Desk().take("spBv1.0/g/NBIRTH/node", bytes.fromhex(made["hex"]))
    numbers = [row for row in made["metrics"] if row[0][0] in "iufd" and row[2] is not None]
    assert desk.readings == {(1, name, at): float(value) for name, _, value, _, at in numbers}
    assert len(numbers) == 10
    assert (desk.details, desk.counts) == ([], {Counted.TEXT: 1, Counted.NULL: 1})
