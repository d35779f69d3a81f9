"""What is set up before the first reading."""

from datetime import UTC, datetime

import msgspec
import pytest

from ringmain.apps.lab import provision
from ringmain.apps.lab.api import ApiError


def taken(*names):
    def answer(method, path, body):
        if body["id"] in names:
            raise ApiError(409, "It is there.")
        return msgspec.json.encode({"tenant": body["id"], "token": "t"})

    return answer


@pytest.mark.parametrize(("names", "tenant"), [((), "lab"), (("lab",), "lab-2"), (("lab", "lab-2"), "lab-3")])
def test_an_earlier_labs_tenant_is_left_alone(scripted, names, tenant):
    assert provision.new_tenant(scripted(taken(*names))).tenant == tenant


def test_any_other_refusal_of_a_tenant_ends_the_run(scripted):
    def answer(*_):
        raise ApiError(403, "Not for you.")

    with pytest.raises(ApiError, match="Not for you"):
        provision.new_tenant(scripted(answer))


def test_tenants_run_out_at_some_point(scripted, monkeypatch):
    monkeypatch.setattr(provision, "TENANTS_MAX", 2)
    with pytest.raises(ApiError, match="lab to lab-2 are all taken"):
        provision.new_tenant(scripted(taken("lab", "lab-2")))


def test_what_is_set_up_comes_in_an_order_in_which_nothing_refers_to_what_is_not_there(scripted, monkeypatch):
    tenant_api = scripted(lambda *_: b'{"token": "meter-token"}')
    monkeypatch.setattr(provision, "Api", lambda port, token: tenant_api)
    from_ = datetime(2013, 1, 1, tzinfo=UTC).isoformat()
    provisioned = provision.provision(scripted(taken()), 1, "Europe/London", from_)
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


def test_a_gateway_is_made_with_its_claim_its_meter_and_its_settings(scripted, monkeypatch):
    tenant_api = scripted(lambda *_: b'{"claim": "rmc_1"}')
    monkeypatch.setattr(provision, "Api", lambda port, token: tenant_api)
    assert provision.gateway(1, "token", {"answer_s": 2}) == "rmc_1"
    assert tenant_api.asked.pop() == "closed"
    assert [(method, path.removeprefix("/api/v1"), body) for method, path, body in tenant_api.asked] == [
        ("POST", "/devices", {"id": "lab-edge", "profile": "gateway", "site": "main"}),
        ("POST", "/devices/lab-edge/claims", {}),
        ("PUT", "/gateways/lab-edge/delegations", {"devices": ["lab-meter"]}),
        ("PUT", "/gateways/lab-edge/settings", {"answer_s": 2}),
    ]
