"""The steps of a run that can go wrong before or between the processes."""

from datetime import UTC, datetime

import msgspec
import pytest

from ringmain.apps.lab import provision, run
from ringmain.apps.lab.api import ApiError, Raw
from ringmain.apps.lab.processes import StepFailed
from ringmain.apps.lab.run import rows_of_year
from ringmain.metering.data import sample_household
from ringmain.model.errors import Refused


class ScriptedApi:
    """Answers from a function; remembers what was asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def raw(self, method, path, body=None):
        self.asked.append((method, path, body))
        return Raw(200, {}, self.answer(method, path, body))

    def send(self, method, path, type_, body=None):
        return msgspec.json.decode(self.raw(method, path, body).body, type=type_)

    def close(self):
        self.asked.append("closed")


def test_the_years_rows_come_with_their_duplicates():
    rows = rows_of_year(sample_household(), 2013)
    assert len(rows) == 17_532
    assert sum({row.start_ms: row.energy_wh for row in rows}.values()) == 4_214_648


def test_a_year_that_the_file_does_not_have_is_refused_with_what_it_has():
    with pytest.raises(Refused, match="no rows in 2015; it covers 2012-10-12 to 2014-01-25; nothing was started"):
        rows_of_year(sample_household(), 2015)


def test_a_file_without_rows_is_refused(tmp_path):
    file = tmp_path / "empty.csv"
    file.write_text("start,value\n")
    with pytest.raises(Refused, match="it has none at all"):
        rows_of_year(file, 2013)


def test_an_error_outside_the_year_is_refused_too(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("start,value\n2013-01-01 00:00:00,1\n2019-01-01 00:00:00,-1\n")
    with pytest.raises(Refused, match="line 3: value"):
        rows_of_year(file, 2013)


def test_the_same_bill_issued_twice_is_one_bill():
    api = ScriptedApi(lambda method, path, body: b'{"number": 7, "sha256": "ab"}')
    assert run._issue(api, "home", 2013) == 7
    period = {"from": "2013-01-01", "to": "2014-01-01"}
    assert api.asked == [("POST", "/api/v1/accounts/home/bills", period), ("GET", "/api/v1/bills/7", None)] * 2


@pytest.mark.parametrize("second", [b'{"number": 8, "sha256": "ab"}', b'{"number": 7, "sha256": "cd"}'])
def test_a_second_bill_that_is_another_one_fails_the_run(second):
    answers = [b'{"number": 7, "sha256": "ab"}', b"bytes", second, b"bytes"]
    with pytest.raises(StepFailed, match="the same bill issued again is another one"):
        run._issue(ScriptedApi(lambda *_: answers.pop(0)), "home", 2013)


def test_a_second_bill_of_other_bytes_fails_the_run():
    answers = [b'{"number": 7, "sha256": "ab"}', b"bytes", b'{"number": 7, "sha256": "ab"}', b"other bytes"]
    with pytest.raises(StepFailed, match="another one"):
        run._issue(ScriptedApi(lambda *_: answers.pop(0)), "home", 2013)


def taken(*names):
    def answer(method, path, body):
        if body["id"] in names:
            raise ApiError(409, "It is there.")
        return msgspec.json.encode({"tenant": body["id"], "token": "t"})

    return answer


@pytest.mark.parametrize(("names", "tenant"), [((), "lab"), (("lab",), "lab-2"), (("lab", "lab-2"), "lab-3")])
def test_an_earlier_labs_tenant_is_left_alone(names, tenant):
    assert provision.new_tenant(ScriptedApi(taken(*names))).tenant == tenant


def test_any_other_refusal_of_a_tenant_ends_the_run():
    def answer(*_):
        raise ApiError(403, "Not for you.")

    with pytest.raises(ApiError, match="Not for you"):
        provision.new_tenant(ScriptedApi(answer))


def test_tenants_run_out_at_some_point(monkeypatch):
    monkeypatch.setattr(provision, "TENANTS_MAX", 2)
    with pytest.raises(ApiError, match="lab to lab-2 are all taken"):
        provision.new_tenant(ScriptedApi(taken("lab", "lab-2")))


def test_what_is_set_up_comes_in_an_order_in_which_nothing_refers_to_what_is_not_there(monkeypatch):
    tenant_api = ScriptedApi(lambda *_: b'{"token": "meter-token"}')
    monkeypatch.setattr(provision, "Api", lambda port, token: tenant_api)
    from_ = datetime(2013, 1, 1, tzinfo=UTC).isoformat()
    provisioned = provision.provision(ScriptedApi(taken()), 1, "Europe/London", from_)
    assert (provisioned.meter_user, provisioned.meter_token) == ("lab/lab-meter", "meter-token")
    assert tenant_api.asked[-1] == "closed"
    assert [(method, path.removeprefix("/api/v1")) for method, path, _ in tenant_api.asked[:-1]] == [
        ("PUT", "/sites/main"),
        ("POST", "/devices"),
        ("POST", "/devices/lab-meter/provision"),
        ("POST", "/devices/lab-meter/activate"),
        ("PUT", "/usage-points/lab-home"),
        ("PUT", "/installations/lab-home"),
        ("PUT", "/tariffs/lcl-flat"),
        ("PUT", "/accounts/lab-flat"),
        ("PUT", "/tariffs/lcl-time-of-use"),
        ("PUT", "/accounts/lab-tou"),
    ]
