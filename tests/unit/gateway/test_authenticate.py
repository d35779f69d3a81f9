"""The authenticator: tokens, certificates, and both at once; whatever goes wrong is a refusal."""

import pytest

from ringmain.gateway.authenticate import NotPermitted
from ringmain.model.device import LifecycleState
from ringmain.model.errors import Refused
from ringmain.ports.credentials import Certificate, Holder, Role

DER = b"the certificate of m1"
EXPIRES_MS = 10_000


@pytest.fixture
async def house(gateway):
    """`m1` has `tok1` and a certificate, `m2` another of each."""
    gateway.m2 = await gateway.add("m2", "tok2")
    now_ms = gateway.clock.now_ms()
    for device, der in ((gateway.m1, DER), (gateway.m2, b"the certificate of m2")):
        certificate = Certificate(device.id, der, now_ms + EXPIRES_MS)
        holder = Holder(device.tenant, device.id, device=device.key)
        await gateway.credentials.grant(gateway.of_certificate(der), holder, now_ms, certificate=certificate)
    return gateway


async def refused(house, user, password, certificate=DER, code="bad_credentials"):
    with pytest.raises(Refused) as error:
        await house.authenticator.sign_in(user, password, certificate)
    assert error.value.code == code
    return error.value


@pytest.mark.parametrize("user", [None, "", "m1", "default/m1"])
@pytest.mark.parametrize("password", [None, b""])
async def test_a_certificate_alone_says_who_comes(house, user, password):
    principal = await house.authenticator.sign_in(user, password, DER)
    assert principal.device == house.m1


@pytest.mark.parametrize("user", ["m2", "acme/m1", "/m1", "default/m1/", "tok1", "tok2"])
async def test_a_name_beside_it_must_be_its_own(house, user):
    await refused(house, user, None)


@pytest.mark.parametrize(
    ("user", "password"),
    [("m1", b"wrong"), ("m2", b"tok2"), ("m1", b"tok2"), ("", b"tok1"), ("m2", b"tok1"), ("m1", b"\xff")],
)
async def test_with_a_password_both_must_be_right_and_of_one_device(house, user, password):
    await refused(house, user, password)


async def test_with_both_right(house):
    principal = await house.authenticator.sign_in("m1", b"tok1", DER)
    assert principal.device == house.m1


@pytest.mark.parametrize("certificate", [b"", b"another", DER + b"\0"])
async def test_a_certificate_that_nobody_holds_is_refused_whatever_else_is_right(house, certificate):
    for user, password in ((None, None), ("m1", None), ("m1", b"tok1"), ("tok1", None)):
        await refused(house, user, password, certificate)


async def test_it_ends_at_its_time_whatever_tls_says(house):
    house.clock.advance(EXPIRES_MS / 1000 - 0.001)
    assert await house.authenticator.sign_in(None, None, DER)
    house.clock.advance(0.001)
    await refused(house, None, None)
    await refused(house, "m1", b"tok1")
    assert await house.authenticator.sign_in("m1", b"tok1")


async def test_a_revoked_one_ends_alone(house):
    await house.credentials.revoke_device(house.m1.key, 1, serial="m1")
    await refused(house, None, None)
    assert await house.authenticator.sign_in("m1", b"tok1")
    assert await house.authenticator.sign_in(None, None, b"the certificate of m2")


async def test_the_state_of_the_device_decides(house):
    await house.move(house.m1, LifecycleState.SUSPENDED)
    error = await refused(house, None, None, code="device_suspended")
    assert isinstance(error, NotPermitted)
    await house.move(house.m1, LifecycleState.DECOMMISSIONED)
    await refused(house, None, None, code="device_not_active")


async def test_a_certificate_of_a_user_is_no_device(house):
    holder = Holder("default", "ann", role=Role.ADMIN)
    await house.credentials.grant(house.of_certificate(b"ann"), holder, 1)
    await refused(house, None, None, b"ann")


async def test_a_token_is_not_found_as_a_certificate_nor_the_other_way_round(house):
    await refused(house, "certificate " + DER.decode() + "x", None, None)
    await refused(house, None, None, b"tok1")


async def test_an_error_on_our_side_is_a_refusal(house, monkeypatch):
    async def holder(_):
        raise RuntimeError("the registry is upside down")

    monkeypatch.setattr(house.credentials, "holder", holder)
    await refused(house, None, None, code="unavailable")


class Rules:
    """One certificate of a further CA, and a list."""

    def __init__(self):
        self.named, self.revoked = {}, set()

    def is_revoked(self, der):
        return der in self.revoked

    def names(self, der):
        return self.named.get(der)


@pytest.fixture
def rules(house):
    house.authenticator._rules = rules = Rules()
    rules.named[b"of another ca"] = (house.m1.tenant, house.m1.id)
    return rules


@pytest.mark.parametrize(("user", "password"), [(None, None), ("", b""), ("m1", None), ("default/m1", b"tok1")])
async def test_a_certificate_of_a_further_ca_is_the_device_that_it_names(house, rules, user, password):
    assert (await house.authenticator.sign_in(user, password, b"of another ca")).device == house.m1


@pytest.mark.parametrize(("user", "password"), [("m2", None), ("m2", b"tok2"), ("m1", b"tok2"), ("tok2", None)])
async def test_and_no_other(house, rules, user, password):
    await refused(house, user, password, b"of another ca")


async def test_one_that_names_nobody_is_refused(house, rules):
    rules.named[b"of another ca"] = (house.m1.tenant, "nobody")
    await refused(house, None, None, b"of another ca")
    rules.named[b"of another ca"] = ("acme", house.m1.id)
    await refused(house, None, None, b"of another ca")


async def test_its_device_must_be_permitted(house, rules):
    await house.move(house.m1, LifecycleState.SUSPENDED)
    await refused(house, None, None, b"of another ca", "device_suspended")


@pytest.mark.parametrize("certificate", [DER, b"of another ca"])
@pytest.mark.parametrize(("user", "password"), [(None, None), ("m1", b"tok1")])
async def test_what_a_list_names_is_refused_whatever_else_is_right(house, rules, certificate, user, password):
    rules.revoked.add(certificate)
    await refused(house, user, password, certificate)
    assert (await house.authenticator.sign_in("m1", b"tok1")).device == house.m1
