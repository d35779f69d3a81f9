"""The simulation is worth what it catches: each of these mistakes is made on purpose, and some seed must notice."""

import pytest
from tests.simulation.mutation import first_violation, mutated

from ringmain.adapters.simulated.timeseries_state import State
from ringmain.gateway.intake import Intake
from ringmain.services.forwarding.service import Forwarding
from ringmain.services.sessions.service import Sessions

pytestmark = [pytest.mark.slow, pytest.mark.campaign]

SEEDS_MAX = 25

MUTATIONS = {
    "delete before acknowledge": (
        Forwarding,
        "_deliver",
        "for payload in payloads:\n",
        "await self._buffer.settle(offsets)\n        for payload in payloads:\n",
        "acknowledged readings are not stored",
    ),
    "acknowledge before sync": (
        Intake,
        "_commit_open",
        "await self._queue.append(encode_batch(sealed), {**tidy, **records})",
        (
            "_ = [depositor.settle(identifiers, None) for depositor, identifiers in waiting.items()]; waiting = {};"
            " await self._queue.append(encode_batch(sealed), {**tidy, **records})"
        ),
        "acknowledged readings are not stored",
    ),
    "dedupe removed": (State, "store", "if there is None:", "if True:", "readings are stored as"),
    "session epoch ignored": (
        Sessions,
        "disconnected",
        "if live is None or epoch < live.epoch:",
        "if live is None:",
        "OFFLINE",
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mistake_made_on_purpose_is_noticed(mutation: str) -> None:
    owner, name, old, new, said = MUTATIONS[mutation]
    with mutated(owner, name, old, new):
        found = first_violation(SEEDS_MAX)
    assert found, f"{SEEDS_MAX} seeds did not notice"
    assert said in found[1], found
