"""JSON lines: what is taken at once, and what is left to be read one by one. `test_telemetry` compares both ways."""

import pytest

from ringmain.gateway.columns import Lane, OpenBatch
from ringmain.gateway.translate.json_lines import take_lines
from ringmain.gateway.translate.placing import Arrivals
from ringmain.model.device import METER_PROFILE


@pytest.fixture
def take():
    lane = Lane(METER_PROFILE, quarantined=False)
    for name in ("a", "b", "energy_wh"):
        lane.learn(name)

    def taken(*payloads):
        batch = OpenBatch(5)
        if not take_lines(batch, lane, 7, payloads, Arrivals()):
            assert batch.readings() == 0
            return None
        return batch.readings()

    return taken


@pytest.mark.parametrize(
    ("payloads", "readings"),
    [
        ([b'{"ts":1,"values":{"a":1,"energy_wh":2}}'] * 3, 6),
        ([b'{"a":1}', b'{"a":2}'], 2),
        ([b'{"ts":1,"a":1,"b":2}'], 2),
        ([b'[{"ts":1,"a":1},{"ts":2,"a":1}]'], 2),
        ([b'[{"a":1},{"a":1}]'], 2),
    ],
)
def test_taken(take, payloads, readings):
    assert take(*payloads) == readings


@pytest.mark.parametrize(
    "payloads",
    [
        [b""], [b"{}"], [b"[]"], [b'{"a":1}', b'{"b":1}'], [b'{"new":1}'], [b'{"a":true}'], [b'{"a":"1"}'],
        [b'{"a":1', b"}"], [b'[{"n":"a","v":1}]'], [b'{"energy_wh":0.5}'], [b'{"ts":-1,"a":1}'], [b"\x81\xa1a\x01"],
        [b'{"a":1}', b'{"ts":1,"a":1}'],
    ],
)  # fmt: skip
def test_left_to_the_slow_way(take, payloads):
    assert take(*payloads) is None
