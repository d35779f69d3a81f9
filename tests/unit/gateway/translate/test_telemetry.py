"""Translation: what must become a dead letter, what must not, and that the fast way and the slow way agree."""

import json
import math
import sys
from array import array

import cbor2
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringmain.gateway import columns
from ringmain.gateway.columns import Lane, OpenBatch
from ringmain.gateway.translate import json_lines, placing, samples, telemetry
from ringmain.gateway.translate.forms import UNSAID, Form, Spelling
from ringmain.gateway.translate.samples import CHANNELS_PER_MESSAGE_MAX
from ringmain.gateway.translate.telemetry import TelemetryTranslator
from ringmain.model.batch import Stamped, decode_batch, encode_batch
from ringmain.model.device import METER_PROFILE, Device, LifecycleState
from ringmain.model.time import INSTANT_MAX
from ringmain.protocols.senml import cbor as senml_cbor
from ringmain.protocols.senml import json as senml_json

NOW = 1_700_000_000_000
DEVICE = 7
M7 = Device(DEVICE, "acme", "m7", "meter", LifecycleState.ACTIVE, "main", 0, 0)


class Desk:
    """A translator with one lane, and what it makes of payloads."""

    def __init__(self):
        self.translator = TelemetryTranslator()
        self.lane = Lane(METER_PROFILE, quarantined=False)

    def open(self, *payloads, **said):
        batch = OpenBatch(NOW)
        dead = self.translator.translate(batch, self.lane, M7, list(payloads), "mqtt", "telemetry", **said)
        assert batch.dead_letters == dead
        assert batch.messages == len(payloads)
        return batch

    def __call__(self, *payloads, **said):
        """Readings as (stamped on arrival, at, channel, value), and the payloads of the dead letters."""
        batch = self.open(*payloads, **said)
        return readings(batch), [letter.payload for letter in batch.dead_letters]


def readings(batch):
    found = []
    for block in decode_batch(encode_batch(batch.seal())).blocks:
        kind = "q" if block.exact else "d"
        devices, stamps, values = (
            array(code, bytes(column))
            for code, column in (("q", block.devices), ("q", block.stamps), (kind, block.values))
        )
        assert set(devices) == {DEVICE}
        rows = [values[at : at + len(block.channels)] for at in range(0, len(values), len(block.channels))]
        for at_ms, row in zip(stamps, rows, strict=True):
            found += [(block.stamped, at_ms, name, value) for name, value in zip(block.channels, row, strict=True)]
    return found


@pytest.fixture(params=["fresh", "seen"])
def desk(request):
    """The first message of a shape goes the slow way, those that follow the fast one."""
    desk = Desk()
    if request.param == "seen":
        desk(b'{"ts":1,"values":{"a":1}}', b'{"b":1}', b'{"energy_wh":1}', b'{"a":1,"b":1,"c":1,"ts":1}')
    return desk


def device(at_ms, name, value):
    return (Stamped.DEVICE, at_ms, name, value)


UNDECODABLE = [
    b"", b" ", b"{", b"}", b"[]", b"{}", b"null", b"true", b"1", b'"a"', b"[1]", b"[[]]", b"[{}]", b"[null]",
    b'{"a":null}', b'{"a":"1"}', b'{"a":[1]}', b'{"a":{}}', b'{"a":NaN}', b'{"a":Infinity}',
    b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":-1e999}', b'{"a":1' + b"0" * 400 + b"}", b'{"a":1' + b"0" * 5000 + b"}",
    b'{"a":01}', b'{"a":0x1}', b'{"a":1.}', b'{"a":1,}', b"{'a':1}", b'{"a":1}x', b'{"a":1}{"a":2}', b'{"a":1} {"a":2}',
    b'{"ts":1,"values":{"a":1}}{"ts":2,"values":{"a":2}}', b'{"ts":1,"values":{}}', b'{"ts":1}', b'{"ts":-1,"a":1}',
    b'{"ts":1.0,"a":1}', b'{"ts":"1","a":1}', b'{"ts":true,"values":{"a":1}}', b'{"ts":%d,"a":1}' % (INSTANT_MAX + 1),
    b'{"ts":1,"values":{"a":1},"x":1}', b'{"ts":1,"values":{"a":1},"b":2}', b'{"\xff":1}', b'{"a":1,"\xff":2}',
    b'{"ts":1,"values":{"\xc3\x28":1}}', b'\xef\xbb\xbf{"a":1}', b'{"a":1}\0', b'{"a\n":1}', b'{"a\\n":1}', b'{"":1}',
    b'{"1a":1}', b'{"\\u00e9":1}', b'{"' + b"a" * 65 + b'":1}', b'{"\\ud800":1}', b"[" * 100_000, b'{"a":' * 50_000,
    b'[{"a":1},{"a":"on"}]', b'[{"ts":1,"values":{"a":1}},{"ts":2,"values":{"a":"x"}}]',
    b'{"energy_wh":1.5}', b'{"energy_wh":9223372036854775808}', b'{"energy_wh":1e19}', b'{"energy_wh":1,"b":null}',
]  # fmt: skip


@pytest.mark.parametrize("payload", UNDECODABLE, ids=lambda it: repr(it[:40]))
def test_a_payload_that_is_wrong_anywhere_is_kept_whole_and_nothing_of_it_is_taken(desk, payload):
    good = b'{"ts":5,"values":{"a":1}}'
    found, dead = desk(good, payload, good)
    assert dead == [payload]
    assert found == [device(5, "a", 1), device(5, "a", 1)]


@pytest.mark.parametrize("payload", UNDECODABLE, ids=lambda it: repr(it[:40]))
def test_its_reason_says_something(desk, payload):
    (letter,) = desk.open(payload).dead_letters
    assert letter.reason == "undecodable_payload"
    assert 3 < len(letter.detail) <= 500
    assert (letter.device, letter.received_ms, letter.door, letter.topic) == (DEVICE, NOW, "mqtt", "telemetry")


@pytest.mark.parametrize(
    "payloads",
    [
        [b'{"ts":1,"values":{"a":1}', b"}"],
        [b'{"ts":1,"values":', b'{"a":1}}'],
        [b'{"ts":1,"values":{"a":1', b'"b":2}}'],
        [b'{"a":1}{"a":2}', b""],
        [b"", b'{"ts":1,"values":{"a":1}} {"ts":2,"values":{"a":2}}'],
        [b'{"ts":1,"values":{"a":1}', b"}", b'{"ts":1,"values":{"a":1}}{"ts":2,"values":{"a":2}}'],
        [b'{"ts":1,"values":{"a":1}}\n{"ts":2,"values":{"a":1}', b"}"],
        [b'{"ts":1,"values":{"a":1}}\n{"ts":2,"values":{"a":2}}', b"\n"],
        [b'{"a":1,"ts":1', b"}", b'{"a":1,"ts":1}{"a":1,"ts":1}'],
        [b"[", b'{"a":1}]'],
    ],
)
def test_payloads_that_only_together_are_json_are_each_a_dead_letter(desk, payloads):
    assert desk(*payloads) == ([], payloads)


def test_line_breaks_inside_a_payload_are_white_space(desk):
    pretty = b'{\n  "ts": 1,\n  "values": {\n    "a": 1\n  }\n}\n'
    assert desk(pretty, b'{"ts":2,"values":{"a":2}}') == ([device(1, "a", 1), device(2, "a", 2)], [])


@pytest.mark.parametrize(
    ("payload", "want"),
    [
        (b'{"ts":5,"values":{"a":1,"b":2.5}}', [device(5, "a", 1), device(5, "b", 2.5)]),
        (b'{"values":{"a":1},"ts":5}', [device(5, "a", 1)]),
        (b'{"ts":5,"a":1}', [device(5, "a", 1)]),
        (b'{"a":1,"ts":5}', [device(5, "a", 1)]),
        (b'[{"ts":5,"a":1},{"ts":6,"values":{"a":2}}]', [device(5, "a", 1), device(6, "a", 2)]),
        (b'{"ts":0,"a":-0.5}', [device(0, "a", -0.5)]),
        (b'{"ts":%d,"a":1e308}' % INSTANT_MAX, [device(INSTANT_MAX, "a", 1e308)]),
        (b'{"ts":5,"values":{"a":1,"a":2}}', [device(5, "a", 2)]),
        (b'{"ts":4,"ts":5,"a":2}', [device(5, "a", 2)]),
        (b'{"ts":5,"values":{"values":1,"ts":2}}', [device(5, "values", 1), device(5, "ts", 2)]),
        (b'{"ts":5,"values":7}', [device(5, "values", 7)]),
        (b'{"ts":5,"a":123456789012345678901234567890}', [device(5, "a", 1.2345678901234568e29)]),
        (b'{"ts":5,"energy_wh":9223372036854775807}', [device(5, "energy_wh", 9223372036854775807)]),
        (b'{"ts":5,"energy_wh":-9223372036854775808}', [device(5, "energy_wh", -9223372036854775808)]),
        (b'{"ts":5,"energy_wh":12.0}', [device(5, "energy_wh", 12)]),
        (b'{"ts":5,"energy_wh":1e3}', [device(5, "energy_wh", 1000)]),
        (b'{"ts":5,"heat.return_wh":3}', [device(5, "heat.return_wh", 3)]),
        (b'{"ts":5,"values":{"a":true,"b":false}}', [device(5, "a", 1), device(5, "b", 0)]),
        (b'{"ts":5,"values":{"p":1.5,"energy_wh":3}}', [device(5, "p", 1.5), device(5, "energy_wh", 3)]),
        (b'{"ts":5,"A b/c:d-e_f.g":1}', [device(5, "A b/c:d-e_f.g", 1)]),
    ],
)  # fmt: skip
def test_every_form_there_is(desk, payload, want):
    found, dead = desk(payload)
    assert (sorted(found), dead) == (sorted(want), [])
    assert all(isinstance(value, int) is name.endswith("_wh") for _, _, name, value in found)


def test_one_form_beside_another_in_one_read(desk):
    found, dead = desk(
        b'{"ts":1,"values":{"a":1}}', b'{"ts":2,"a":2}', b'[{"ts":3,"a":3},{"ts":4,"b":4}]', b'{"ts":5,"a":5}'
    )
    assert dead == []
    assert found == [device(1, "a", 1), device(2, "a", 2), device(3, "a", 3), device(5, "a", 5), device(4, "b", 4)]


def test_without_a_stamp_it_is_that_of_the_arrival_and_never_the_same_twice(desk):
    first = desk(b'{"a":1}', b'{"a":2}', b'[{"a":3},{"values":{"a":4}}]', b'{"ts":null,"a":5}')[0]
    again = desk(b'{"a":6}')[0]
    assert all(stamped is Stamped.ARRIVAL for stamped, *_ in first + again)
    stamps = [at_ms for _, at_ms, _, _ in first + again]
    assert len(set(stamps)) == 6
    assert stamps == sorted(stamps)
    assert stamps[0] >= NOW
    assert [value for *_, value in first + again] == [1, 2, 3, 4, 5, 6]


def test_the_stamps_of_arrival_of_two_devices_do_not_push_each_other():
    desk = Desk()
    for number in (1, 2):
        batch = OpenBatch(NOW)
        desk.translator.translate(batch, desk.lane, msgspec.structs.replace(M7, key=number), [b'{"a":1}'], "mqtt", "t")
        (block,) = batch.seal().blocks
        assert array("q", bytes(block.stamps)).tolist() == [NOW]


def test_order_is_kept_within_a_read(desk):
    found, _ = desk(*[b'{"ts":%d,"values":{"a":%d}}' % (n % 3, n) for n in range(100)])
    assert found == [device(n % 3, "a", n) for n in range(100)]


class TestLimits:
    @pytest.mark.parametrize("form", ["plain", "values"])
    def test_channels_of_one_message(self, form):
        desk = Desk()
        names = {f"c{n}": n for n in range(CHANNELS_PER_MESSAGE_MAX + 1)}
        for name in names:
            desk(b'{"ts":1,"%s":1}' % name.encode())
        message = {"ts": 1, **names} if form == "plain" else {"ts": 1, "values": names}
        payload = json.dumps(message).encode()
        assert desk(payload) == ([], [payload])
        names.popitem()
        message = {"ts": 1, **names} if form == "plain" else {"ts": 1, "values": names}
        assert len(desk(json.dumps(message).encode())[0]) == CHANNELS_PER_MESSAGE_MAX

    def test_readings_of_one_payload(self, monkeypatch):
        for module in (json_lines, placing, samples):
            monkeypatch.setattr(module, "READINGS_PER_PAYLOAD_MAX", 10)
        desk = Desk()
        assert len(desk(b'[{"a":1,"b":2},{"a":1,"b":2},{"a":1,"b":2},{"a":1,"b":2},{"a":1,"b":2}]')[0]) == 10
        for payload in (b"[" + b'{"a":1},' * 10 + b'{"a":1}]', b"[" + b'{"a":1,"b":2},' * 5 + b'{"a":1}]'):
            (letter,) = desk.open(payload).dead_letters
            assert letter.reason == "too_large"

    def test_channel_names_of_one_lane_and_of_nobody_else(self, monkeypatch):
        monkeypatch.setattr(columns, "CHANNEL_NAMES_MAX", 3)
        desk = Desk()
        desk(b'{"a":1}', b'{"b":1}', b'{"c":1}')
        (letter,) = desk.open(b'{"d":1}').dead_letters
        assert letter.reason == "too_many_channels"
        assert desk(b'{"ts":1,"a":1,"c":2}')[1] == []
        desk.lane = Lane(METER_PROFILE, quarantined=False)
        assert desk(b'{"d":1}')[1] == []

    def test_payload_bytes_are_counted(self):
        assert Desk().open(b"x" * 1000, b"y" * 500).payload_bytes >= 1500


# -- the fast way and the slow way ----------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.integers(-5, 5), st.just(1e3)
)
channels = st.sampled_from(["a", "b", "energy_wh", "import_wh", "voltage_v", "ts", "values"])
stamps = st.one_of(
    st.integers(0, 10), st.just(INSTANT_MAX), st.just(INSTANT_MAX + 1), st.none(), st.floats(0, 9), st.just(True)
)
values = st.dictionaries(channels, numbers | numbers | numbers | st.sampled_from([None, True, "1", [1]]), max_size=3)
nested = st.builds(lambda ts, inner: {"ts": ts, "values": inner}, stamps, values)
plains = st.builds(lambda ts, inner: {**inner, **({} if ts is None else {"ts": ts})}, stamps, values)
payloads = st.one_of(
    nested, nested, plains, plains, st.lists(nested | plains, max_size=3), st.sampled_from([None, 1, "x", {}])
).map(lambda it: json.dumps(it).encode())
odd = st.one_of(
    payloads, payloads, payloads, st.binary(max_size=12), st.sampled_from([b"", b"}", b'{"ts":1,"values":{"a":1}'])
)


def alike_both_ways(messages):
    fast, slow = Desk(), Desk()
    for desk in (fast, slow):
        desk(*[b'{"%s":1}' % name for name in (b"a", b"b", b"energy_wh", b"import_wh", b"voltage_v", b"values")])
    batch = OpenBatch(NOW)
    slow.translator.one_by_one(batch, slow.lane, M7, messages, "mqtt", "telemetry")
    found, dead = fast(*messages)
    assert dead == [letter.payload for letter in batch.dead_letters]
    assert sorted(found, key=repr) == sorted(readings(batch), key=repr)
    assert all(math.isfinite(value) for *_, value in found)


@pytest.mark.slow
@given(st.lists(odd, min_size=1, max_size=8), st.booleans())
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
def test_fast_and_slow_give_the_same(messages, alike):
    alike_both_ways([messages[0]] * len(messages) if alike else messages)


uniform = st.lists(st.sampled_from(["a", "b", "energy_wh", "voltage_v"]), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.lists(st.fixed_dictionaries(dict.fromkeys(names, st.integers(-9, 9) | st.just(0.5))), max_size=5)
)


@pytest.mark.slow
@given(uniform | st.lists(values, max_size=4), st.sampled_from(["nested", "plain", "unstamped", "half"]))
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_list_gives_the_same_both_ways(rows, form):
    items = []
    for ts, row in enumerate(rows):
        stamped = form in ("nested", "plain") or (form == "half" and ts % 2)
        nested = form == "nested" or (form == "half" and ts % 3)
        items.append({**({"ts": ts} if stamped else {}), **({"values": row} if nested else row)})
    alike_both_ways([json.dumps(items).encode()])


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5))
@settings(max_examples=5 * settings.default.max_examples, deadline=None)
def test_noise_never_raises(messages):
    found, dead = Desk()(*messages)
    assert len(dead) + len(found) >= len(messages)


# -- which way is gone ----------------------------------------------------------------------------------------------


class TestFastWay:
    @pytest.fixture
    def slow(self, monkeypatch):
        """How many payloads went the slow way."""
        seen = []
        original = TelemetryTranslator.one_by_one

        def noted(self, batch, lane, device, payloads, *rest):
            seen.extend(payloads)
            return original(self, batch, lane, device, payloads, *rest)

        monkeypatch.setattr(TelemetryTranslator, "one_by_one", noted)
        return seen

    @pytest.mark.parametrize(
        "payload",
        [b'{"ts":1,"values":{"a":1}}', b'{"a":1}', b'{"ts":1,"a":1,"energy_wh":2}', b'[{"ts":1,"a":1},{"ts":2,"a":2}]'],
    )
    @pytest.mark.parametrize("said", [{}, {"content_types": ["application/json", "", "text/html"]}])
    def test_plain_json_is_taken_a_whole_read_at_once(self, slow, payload, said):
        desk = Desk()
        desk(payload)
        slow.clear()
        count = 1 if payload[:1] == b"[" else 3
        if said:
            said = {"content_types": said["content_types"][:count]}
        assert desk(*[payload] * count, **said)[1] == []
        assert slow == []

    def test_the_decoder_is_called_once_for_a_read(self, monkeypatch):
        calls = []
        decode = json_lines._decode_samples
        monkeypatch.setattr(json_lines, "_decode_samples", lambda lines: calls.append(lines) or decode(lines))
        monkeypatch.setattr(telemetry, "form_of", None)
        desk = Desk()
        desk.lane.learn("a")
        found, dead = desk(*[b'{"ts":%d,"values":{"a":1}}' % at for at in range(200)])
        assert (len(found), dead, len(calls)) == (200, [], 1)

    @pytest.mark.parametrize(
        "said",
        [{"content_types": ["application/msgpack"]}, {"spelling": Spelling(Form.MSGPACK)}],
    )
    def test_json_that_says_it_is_something_else_is_not_read_as_json(self, slow, said):
        assert Desk()(b'{"a":1}', **said) == ([], [b'{"a":1}'])
        assert slow == [b'{"a":1}']

    def test_bytes_are_counted_once_on_either_way(self):
        assert Desk().open(b"\x81\xa1a\x01", b"\x81\xa1a\x02").payload_bytes == 9
        assert Desk().open(b"12", b"13", spelling=Spelling(Form.VALUE, "a")).payload_bytes == 4


# -- other forms ------------------------------------------------------------------------------------------------------

SENML = b'[{"bn":"urn:dev:mac:m7:","bt":1700000000,"n":"energy_wh","u":"kWh","v":1.5},{"n":"power_w","u":"W","v":9.5}]'
SENML_WANT = [device(1_700_000_000_000, "energy_wh", 1500), device(1_700_000_000_000, "power_w", 9.5)]


def as_cbor(pack):
    return senml_cbor.encode(senml_json.decode(pack))


FORMS = [
    (SENML, "", UNSAID, SENML_WANT),
    (SENML, "application/senml+json", UNSAID, SENML_WANT),
    (SENML, "", Spelling(Form.SENML), SENML_WANT),
    (as_cbor(SENML), "", UNSAID, SENML_WANT),
    (as_cbor(SENML), "application/senml+cbor", UNSAID, SENML_WANT),
    (as_cbor(SENML), "application/cbor", UNSAID, SENML_WANT),
    (as_cbor(SENML), "", Spelling(Form.SENML), SENML_WANT),
    (msgspec.msgpack.encode({"ts": 5, "values": {"a": 1, "energy_wh": 2}}), "", UNSAID,
     [device(5, "a", 1), device(5, "energy_wh", 2)]),
    (msgspec.msgpack.encode({"ts": 5, "a": True}), "application/msgpack", UNSAID, [device(5, "a", 1)]),
    (msgspec.msgpack.encode([{"ts": 5, "a": 1}, {"ts": 6, "a": 2.5}]), "", Spelling(Form.MSGPACK),
     [device(5, "a", 1), device(6, "a", 2.5)]),
    (cbor2.dumps({"ts": 5, "values": {"a": 1}}), "application/cbor", UNSAID, [device(5, "a", 1)]),
    (b'{"ts":5,"a":1}', "application/json; charset=utf-8", UNSAID, [device(5, "a", 1)]),
    (b'{"ts":5,"a":1}', "application/x-www-form-urlencoded", UNSAID, [device(5, "a", 1)]),
    (b'{"ts":5,"a":1}', "text/plain", UNSAID, [device(5, "a", 1)]),
    (b'{"ts":5,"a":1}', "application/json", Spelling(Form.MSGPACK), [device(5, "a", 1)]),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "media", "spelling", "want"), FORMS)
def test_forms(payload, media, spelling, want):
    found, dead = Desk()(payload, content_types=[media], spelling=spelling)
    assert (sorted(found), dead) == (sorted(want), [])


@pytest.mark.parametrize(
    ("text", "channel", "value"),
    [(b"12", "a", 12.0), (b" -0.5\r\n", "a", -0.5), (b"1e3", "energy_wh", 1000), (b"+7", "a", 7.0), (b"5.", "a", 5.0),
     (b"true", "a", 1.0), (b"FALSE", "a", 0.0), (b"9223372036854775807", "energy_wh", 2**63 - 1)],
)  # fmt: skip
@pytest.mark.parametrize("media", ["", "text/plain", "application/json", "application/octet-stream"])
def test_plain_values(text, channel, value, media):
    (reading,) = Desk()(text, spelling=Spelling(Form.VALUE, channel), content_types=[media])[0]
    assert reading == (Stamped.ARRIVAL, NOW, channel, value)


@pytest.mark.parametrize(
    "text",
    [b"", b"x", b"1 2", b"0x10", b"nan", b"inf", b"1e999", b"1e9999", b"1" * 65, b"\xff", b"on", "\u0661".encode(),
     b"1_0", b".5", b"--1", b'{"a":1}', b"NaN", b"1,5"],
)  # fmt: skip
def test_what_is_no_plain_value(text):
    assert Desk()(text, spelling=Spelling(Form.VALUE, "a")) == ([], [text])


def test_a_plain_value_for_a_channel_that_can_not_be():
    (letter,) = Desk().open(b"1", spelling=Spelling(Form.VALUE, "1a")).dead_letters
    assert "can not name a channel" in letter.detail
    (letter,) = Desk().open(b"1.5", spelling=Spelling(Form.VALUE, "energy_wh")).dead_letters
    assert "whole units" in letter.detail


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b'[{"n":"a","v":1},{"n":"b","vs":"on"}]', "a string is no number"),
        (b'[{"n":"a","vd":"aGk"}]', "a blob is no number"),
        (b'[{"n":"voltage_v","u":"A","v":1}]', "came in A, and its profile meter says V"),
        (b'[{"n":"energy_wh","u":"kWh","v":1.2345}]', "no whole number of Wh"),
        (b'[{"n":"energy_wh","u":"J","v":1}]', "came in J"),
        (b'[{"n":"a"}]', "neither"),
        (msgspec.msgpack.encode({"a": "x"}), "expected a number, got str"),
        (msgspec.msgpack.encode({"a": float("inf")}), "no reading"),
        (msgspec.msgpack.encode({"a": float("nan"), "energy_wh": 1}), "no reading"),
        (msgspec.msgpack.encode({"energy_wh": float("inf")}), "no reading"),
        (msgspec.msgpack.encode({1: 2}), "named by a string"),
        (msgspec.msgpack.encode([1]), "expected an object"),
        (b"\x91" * 100_000 + b"\x01", "depth"),
        (b"\xc1", "JSON"),
    ],
)
def test_what_of_other_forms_is_set_aside(payload, words):
    (letter,) = Desk().open(payload).dead_letters
    assert words in letter.detail
    assert letter.payload == payload
    assert Desk()(payload)[0] == []


def test_a_time_relative_to_now_is_that_of_the_arrival():
    found, dead = Desk()(b'[{"n":"a","v":1,"t":-60},{"n":"b","v":2,"t":-60},{"n":"a","v":3}]')
    assert dead == []
    # Two moments, of which the second came a millisecond behind the first: no two arrivals are the same.
    assert found == [
        (Stamped.ARRIVAL, NOW - 60_000, "a", 1),
        (Stamped.ARRIVAL, NOW - 60_000, "b", 2),
        (Stamped.ARRIVAL, NOW + 1, "a", 3),
    ]
    (letter,) = Desk().open(b'[{"n":"a","v":1,"t":-1e12}]').dead_letters
    assert "relative" in letter.detail


def test_an_edge_without_cbor_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "ringmain.protocols.senml.cbor", None)
    monkeypatch.delattr("ringmain.protocols.senml.cbor", raising=False)
    (letter,) = Desk().open(as_cbor(SENML)).dead_letters
    assert letter.reason == "not_supported"


@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=3),
    st.sampled_from([Spelling(form, "a" if form is Form.VALUE else "") for form in Form if form is not Form.UNSAID]),
)
@settings(max_examples=2 * settings.default.max_examples, deadline=None)
def test_noise_in_any_form_never_raises(messages, spelling):
    found, dead = Desk()(*messages, spelling=spelling)
    assert len(dead) + len(found) >= len(messages)
    assert all(math.isfinite(value) for *_, value in found)
