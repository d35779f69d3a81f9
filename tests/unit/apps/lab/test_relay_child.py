"""The relay as a process: each command is answered, and a refusal is an error."""

import pytest

from ringmain.apps.lab import relay_child
from ringmain.apps.lab.processes import Family, StepFailed
from ringmain.apps.lab.relay_child import RelayChild

pytestmark = pytest.mark.slow


def test_it_listens_obeys_and_ends(tmp_path):
    with Family(tmp_path) as family:
        relay = RelayChild(family, 1, seed=3)
        assert relay.port > 0
        modes = [relay.tell(command).mode for command in ("black-hole", "stats", "pass")]
        assert modes == ["black-hole", "black-hole", "pass"]
        with pytest.raises(StepFailed, match=r"refused 'melt': .* is none of"):
            relay.tell("melt")


def test_one_that_is_gone_is_an_error(tmp_path):
    with Family(tmp_path) as family:
        relay = RelayChild(family, 1, seed=3)
        assert relay.port > 0
        relay.child.kill()
        with pytest.raises(StepFailed, match="does not listen"):
            relay.tell("pass")


def test_one_that_does_not_answer_is_an_error(tmp_path, monkeypatch):
    with Family(tmp_path) as family:
        relay = RelayChild(family, 1, seed=3)
        monkeypatch.setattr(relay_child, "ANSWER_S_MAX", 0.05)
        monkeypatch.setattr(relay.child, "say", lambda _: None)
        with pytest.raises(StepFailed, match=r"did not answer within 0\.05 s"):
            relay.tell("stats")
