"""The steps of a run that can go wrong between the processes."""

import pytest

from ringmain.apps.lab import steps
from ringmain.apps.lab.check import Tally, TallyItem
from ringmain.apps.lab.processes import StepFailed


def test_the_same_bill_issued_twice_is_one_bill(scripted):
    api = scripted(lambda method, path, body: b'{"number": 7, "sha256": "ab"}')
    assert steps._issue(api, "home", 2013) == 7
    period = {"from": "2013-01-01", "to": "2014-01-01"}
    assert api.asked == [("POST", "/api/v1/accounts/home/bills", period), ("GET", "/api/v1/bills/7", None)] * 2


@pytest.mark.parametrize("second", [b'{"number": 8, "sha256": "ab"}', b'{"number": 7, "sha256": "cd"}'])
def test_a_second_bill_that_is_another_one_fails_the_run(scripted, second):
    answers = [b'{"number": 7, "sha256": "ab"}', b"bytes", second, b"bytes"]
    with pytest.raises(StepFailed, match="the same bill issued again is another one"):
        steps._issue(scripted(lambda *_: answers.pop(0)), "home", 2013)


def test_a_second_bill_of_other_bytes_fails_the_run(scripted):
    answers = [b'{"number": 7, "sha256": "ab"}', b"bytes", b'{"number": 7, "sha256": "ab"}', b"other bytes"]
    with pytest.raises(StepFailed, match="another one"):
        steps._issue(scripted(lambda *_: answers.pop(0)), "home", 2013)


class Stored:
    """A platform whose store reads on while it is looked at."""

    def __init__(self, *counts):
        self.counts, self.closed = list(counts), False

    def get(self, path, type_):
        count = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
        return Tally(count, (TallyItem("stored", count),))

    def close(self):
        self.closed = True


@pytest.mark.parametrize(("counts", "stored"), [((3, 7, 10), True), ((3,), False)])
def test_the_store_is_waited_for_but_not_for_ever(monkeypatch, counts, stored):
    api = Stored(*counts)
    platform = type("Platform", (), {"ports": type("Ports", (), {"http": 1})})
    monkeypatch.setattr(steps, "Api", lambda port, token: api)
    monkeypatch.setattr(steps, "STORE_S_MAX", 0.2)
    assert steps.until_stored(platform, "token", lambda tally: tally.count("stored") >= 10) is stored
    assert api.closed


def test_a_command_line_is_names_and_values():
    assert steps.flat({"--port": 1, "--ca": "x"}) == ["--port", "1", "--ca", "x"]
