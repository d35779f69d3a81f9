"""The judgement over one reading is that of a chunk's rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ringmain.gateway.columns import Lanes
from ringmain.gateway.translate.bulk_named import REASONS, Named
from ringmain.gateway.translate.sparkplug_readings import refusal
from ringmain.model.device import GENERIC_PROFILE, Device, LifecycleState
from ringmain.model.standing import ALWAYS, Standing
from ringmain.model.time import INSTANT_MAX

GATEWAY = Device(1, "acme", "gw", "gateway", LifecycleState.ACTIVE, "main", 0, 0)
SPANS = st.sampled_from([(ALWAYS,), ((0, 10),), ((10, 20), (30, INSTANT_MAX + 1)), ((5, 15),)])


class Delegates:
    def __init__(self, standing):
        self.standing = standing

    def of(self, gateway):
        return {"m": self.standing}

    def key_of(self, tenant, id):
        return None


@given(st.sampled_from(LifecycleState), SPANS, st.integers(0, 40) | st.just(INSTANT_MAX))
def test_as_for_a_chunk(state, spans, at_ms):
    standing = Standing(Device(2, "acme", "m", "generic", state, "main", 0, 12), GENERIC_PROFILE, spans)
    named = Named(GATEWAY, ("m",), Delegates(standing), Lanes())
    (verdict,) = named.judge(np.array([0]), np.array([at_ms])).tolist()
    assert refusal(standing, at_ms) == REASONS[verdict]


def test_a_node_speaks_for_itself():
    assert refusal(None, 5) == ""
