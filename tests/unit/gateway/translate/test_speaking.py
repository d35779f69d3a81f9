"""Speaking for others: the same judgement as that over a chunk, and names that are none."""

from itertools import product

import numpy as np
import pytest

from ringmain.gateway.columns import Lanes
from ringmain.gateway.translate.bulk_named import REASONS, Named
from ringmain.gateway.translate.speaking import Nobody, device_id_of, refusal
from ringmain.model.device import GENERIC_PROFILE, Device, LifecycleState
from ringmain.model.ids import is_name
from ringmain.model.standing import ALWAYS, Standing

GATEWAY = Device(1, "acme", "gw", "gateway", LifecycleState.ACTIVE, "main", 0, 0)
SPANS = [(ALWAYS,), ((100, 200),), ((100, 200), (300, 400)), ()]


class Known:
    def __init__(self, standing):
        self.standing = standing

    def of(self, _):
        return {"m1": self.standing} if self.standing else {}

    def key_of(self, *_):
        return 7


@pytest.mark.parametrize(("state", "spans"), list(product(LifecycleState, SPANS)))
def test_as_for_the_rows_of_a_chunk(state, spans):
    standing = Standing(Device(7, "acme", "m1", "generic", state, "main", 0, 150), GENERIC_PROFILE, spans)
    stamps = [0, 99, 100, 149, 150, 199, 200, 299, 300, 399, 400, 10**12]
    named = Named(GATEWAY, ["m1"], Known(standing), Lanes())
    judged = named.judge(np.zeros(len(stamps), np.int64), np.array(stamps)).tolist()
    assert [refusal(standing, at_ms) for at_ms in stamps] == [REASONS[number] for number in judged]


def test_nobody():
    assert refusal(None, 5) == "not_delegated"
    assert (Nobody().of(1), Nobody().key_of("acme", "m1")) == ({}, None)


@pytest.mark.parametrize(
    ("text", "want"),
    [("0x00158d0001dc1f2e", "0x00158d0001dc1f2e"), ("Living room", "Living_room"), ("k\u00fcche", "k_che"),
     ("a/b", "a_b"),
     ("", None), (" x", None), ("_x", None), ("a" * 64, "a" * 64), ("a" * 65, None)],
)  # fmt: skip
def test_names(text, want):
    assert device_id_of(text) == want
    assert want is None or is_name(want)
