"""Who may say and hear what: everything that is refused first, of each kind of client."""

import pytest

from ringmain.gateway.broker.access import ConsumerAccess, DeviceAccess, Grant, OpenAccess, canonical
from ringmain.model.device import GENERIC_PROFILE, Device, LifecycleState, Principal
from ringmain.model.gateway import GATEWAY_PROFILE
from ringmain.ports.credentials import Role
from ringmain.protocols.mqtt.reasons import Reason
from ringmain.protocols.mqtt.topics import matches


def device(profile=GENERIC_PROFILE.name):
    made = Device(7, "t", "m1", profile, LifecycleState.ACTIVE, "", 0, 0)
    return DeviceAccess(Principal(made, GENERIC_PROFILE))


VIEWER, ADMIN = (ConsumerAccess("t", "me", role) for role in (Role.VIEWER, Role.ADMIN))
OPEN = OpenAccess("-open", frozenset({"test/nosubscribe"}))

FOREIGN = ["#", "+", "devices/#", "devices/+/errors", "devices/m2/errors", "devices/m1", "devices/m10/a", "$SYS/#",
           "apps/a", "telemetry", "v1/devices/me/+", "v1/devices/#", "spBv1.0/#", "spBv1.0/+", "spBv1.0/g/NCMD/+",
           "spBv1.0/g/+/m1", "spBv1.0/g/NCMD/m2", "spBv1.0/g/NDATA/m1", "spBv1.0/g/NCMD", "spBv1.0/g/DCMD/#",
           ]  # fmt: skip


@pytest.mark.parametrize("pattern", FOREIGN)
def test_a_device_hears_nothing_beyond_its_own(pattern):
    assert device().subscribes(pattern) is Reason.NOT_AUTHORIZED


@pytest.mark.parametrize("notice", ["settings", "roster", "claims/answers"])
def test_notices_of_gateways_are_for_gateways(notice):
    assert device().subscribes(notice) is Reason.NOT_AUTHORIZED
    assert device(GATEWAY_PROFILE).subscribes(notice) == Grant(f"devices/m1/{notice}")


@pytest.mark.parametrize(
    ("pattern", "filter_", "topic", "shown"),
    [
        ("errors", "devices/m1/errors", "devices/m1/errors", "devices/m1/errors"),
        ("devices/m1/#", "devices/m1/#", "devices/m1/a/b", "devices/m1/a/b"),
        ("v1/devices/me/rpc/request/+", "devices/m1/rpc/request/+", "devices/m1/rpc/request/7",
         "v1/devices/me/rpc/request/7"),
        ("v1/devices/me/rpc/response/+", "devices/m1/rpc/client/response/+", "devices/m1/rpc/client/response/7",
         "v1/devices/me/rpc/response/7"),
        ("v1/devices/me/attributes", "devices/m1/attributes/shared", "devices/m1/attributes/shared",
         "v1/devices/me/attributes"),
        ("spBv1.0/g/NCMD/m1", "spBv1.0/g/NCMD/m1", "spBv1.0/g/NCMD/m1", "spBv1.0/g/NCMD/m1"),
    ],
)  # fmt: skip
def test_what_a_device_is_granted_and_how_it_is_shown(pattern, filter_, topic, shown):
    grant = device().subscribes(pattern)
    assert grant.filter == filter_
    assert matches(grant.filter, topic)
    assert device().receives(topic)
    assert (grant.shown + topic[len(grant.under) :] if grant.shown else topic) == shown


@pytest.mark.parametrize("topic", ["devices/m2/errors", "devices/m10/errors", "apps/a", "spBv1.0/g/NDATA/m1", "$SYS/a"])
def test_nothing_else_is_delivered_to_a_device_whatever_it_was_granted(topic):
    assert not device().receives(topic)


@pytest.mark.parametrize("topic", ["devices/m2/telemetry", "devices/m1", "telemetry", "apps/a", "$SYS/a"])
def test_a_device_says_nothing_beyond_its_own_tree(topic):
    assert device().publishes(topic) is Reason.NOT_AUTHORIZED


@pytest.mark.parametrize(
    ("topic", "place"),
    [
        ("telemetry", "devices/m1/telemetry"),
        ("v1/devices/me/telemetry", "devices/m1/telemetry"),
        ("attributes", "devices/m1/attributes"),
        ("v1/devices/me/rpc/response/7", "devices/m1/rpc/response/7"),
        ("v1/devices/me/rpc/request/7", "devices/m1/rpc/client/request/7"),
        ("v1/devices/me/attributes/request/7", "devices/m1/attributes/request/7"),
        ("telemetry/senml", "devices/m1/telemetry/senml"),
        ("devices/m1/status", "devices/m1/status"),
    ],
)
def test_where_what_a_device_says_stands(topic, place):
    assert canonical("m1", topic) == place
    assert device().publishes(place) is None


@pytest.mark.parametrize("topic", ["apps/a", "devices/m1/rpc/request/7", "devices/m1/telemetry", "$SYS/a"])
def test_a_viewer_says_nothing(topic):
    assert VIEWER.publishes(topic) is Reason.NOT_AUTHORIZED


@pytest.mark.parametrize(
    ("topic", "may"),
    [
        ("apps/a/b", True),
        ("devices/m1/rpc/request/7", True),
        ("devices/m1/attributes/shared", True),
        ("spBv1.0/g/NCMD/n", True),
        ("spBv1.0/g/DCMD/n/d", True),
        ("apps", False),
        ("devices/m1/telemetry", False),
        ("devices/m1/rpc/request/7/8", False),
        ("devices/m1/rpc/response/7", False),
        ("devices/m1/errors", False),
        ("spBv1.0/g/NDATA/n", False),
        ("spBv1.0/g/NCMD/n/d", False),
        ("$SYS/a", False),
        ("other", False),
    ],
)
def test_an_admin_says_what_is_said_to_devices_and_no_more(topic, may):
    assert (ADMIN.publishes(topic) is None) is may


@pytest.mark.parametrize("access", [VIEWER, ADMIN])
def test_programs_hear_all_but_the_servers_own(access):
    assert access.subscribes("$SYS/#") is Reason.NOT_AUTHORIZED
    assert access.subscribes("#") == Grant("#")
    assert access.receives("devices/m1/telemetry")


@pytest.mark.parametrize(
    ("topic", "may"),
    [("a", True), ("$SYS/broker/connection/b/state", True), ("$SYS/a", False), ("$CONTROL/a", False),
     ("$share/g/a", False), ("$SYS/broker/connection/b/x/state", False)],
)  # fmt: skip
def test_the_open_door(topic, may):
    assert (OPEN.publishes(topic) is None) is may


def test_the_open_door_denies_what_it_was_told_to():
    assert OPEN.subscribes("test/nosubscribe") is Reason.UNSPECIFIED
    assert OPEN.subscribes("#") == Grant("#")


def test_owners_are_different_for_everybody():
    owners = [device().owner, VIEWER.owner, OPEN.owner, ConsumerAccess("t", "device/7", Role.ADMIN).owner]
    assert len(set(owners)) == len(owners)
