"""What one connection listens to: nothing as long as it is nobody, and no more than there may be."""

import msgspec
import pytest

from ringmain.gateway.broker.access import ConsumerAccess, OpenAccess
from ringmain.gateway.broker.subscriptions import Held
from ringmain.gateway.mqtt_filters import (
    CONSUMER_SUBSCRIPTIONS_MAX,
    FILTER_WEIGHT_MAX,
    SUBSCRIPTIONS_MAX,
    Filters,
)
from ringmain.model.device import GENERIC_PROFILE, Device, LifecycleState
from ringmain.ports.credentials import Role
from ringmain.protocols.mqtt.events import NOTHING_KEPT, Limits
from ringmain.protocols.mqtt.packets import Subscription
from ringmain.protocols.mqtt.reasons import Reason

OPEN = OpenAccess("-open", frozenset({"test/nosubscribe"}))
M1 = Device(7, "t", "m1", GENERIC_PROFILE.name, LifecycleState.ACTIVE, "", 0, 0)


class Claimant:
    def grants(self, pattern):
        return ("provision/answer",) if pattern == "provision/answer" else ()


def filters(access=OPEN, limits=None, device=None, claimant=None):
    made = Filters(limits or Limits())
    made.access, made.device, made.claimant = access, device, claimant
    return made


@pytest.mark.parametrize(
    ("made", "asked", "reason"),
    [
        (filters(None), Subscription("a", 0), Reason.NOT_AUTHORIZED),
        (filters(), Subscription("", 0, False, Reason.TOPIC_FILTER_INVALID), Reason.TOPIC_FILTER_INVALID),
        (filters(), Subscription("test/nosubscribe", 0), Reason.UNSPECIFIED),
        (filters(), Subscription("$share/g/test/nosubscribe", 0), Reason.UNSPECIFIED),
        (filters(), Subscription("$share/g", 0), Reason.TOPIC_FILTER_INVALID),
        (filters(), Subscription("$share/+/a", 0), Reason.TOPIC_FILTER_INVALID),
        (filters(limits=NOTHING_KEPT), Subscription("$share/g/a", 0), Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED),
        (filters(device=M1), Subscription("$share/g/a", 0), Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED),
        (filters(claimant=Claimant()), Subscription("a", 0), Reason.NOT_AUTHORIZED),
        (filters(ConsumerAccess("t", "p", Role.VIEWER)), Subscription("$SYS/#", 0), Reason.NOT_AUTHORIZED),
    ],
)
def test_refused(made, asked, reason):
    assert made.decide(asked, 0) is reason
    assert len(made) == 0


def test_an_error_on_our_side_is_a_refusal(caplog):
    class Broken:
        def subscribes(self, pattern):
            raise RuntimeError("of ours")

    assert filters(Broken()).decide(Subscription("a", 0), 0) is Reason.NOT_AUTHORIZED
    assert "may not" in caplog.text


@pytest.mark.parametrize(("more", "count_max"), [({"device": M1}, SUBSCRIPTIONS_MAX), ({}, CONSUMER_SUBSCRIPTIONS_MAX)])
def test_there_is_a_limit_but_one_that_is_there_may_change(more, count_max):
    made = filters(**more)
    for n in range(count_max):
        made.add(made.decide(Subscription(f"t/{n}", 0), 0))
    assert made.decide(Subscription("one/more", 0), 0) is Reason.QUOTA_EXCEEDED
    assert made.decide(Subscription("t/0", 1), 0).qos == 1
    assert made.drop(["t/0", "t/0", "x"]) == [True, False, False]
    assert isinstance(made.decide(Subscription("one/more", 0), 0), Held)


def test_long_and_deep_filters_are_limited_all_together():
    made = filters()
    long = ["x" * 4_000 + f"{n:04}" for n in range(2_000)]
    deep = ["/" * 200 + f"{n:03}" for n in range(200)]
    for many in (long, deep):
        decided = [made.decide(Subscription(each, 0), 0) for each in many[:1]]
        while isinstance(decided[-1], Held):
            made.add(decided[-1])
            decided.append(made.decide(Subscription(many[len(decided)], 0), 0))
        assert decided[-1] is Reason.QUOTA_EXCEEDED
        most = min(CONSUMER_SUBSCRIPTIONS_MAX, FILTER_WEIGHT_MAX // (len(many[0]) + 400 * (many[0].count("/") + 1)))
        assert len(made) == len(decided) - 1 == most
        made.add(made.decide(Subscription(many[0], 1), 0))
        assert isinstance(made.decide(Subscription(many[0], 0), 0), Held)
        made.drop(many)
        assert made._weight == 0


def test_what_is_granted_is_what_was_asked_within_what_is_offered():
    asked = Subscription("$share/g/a", 2, False, None, True, 1)
    assert filters().decide(asked, 5) == Held("$share/g/a", "a", 2, retain_as_published=True, number=5, group="g")
    limits = msgspec.structs.replace(Limits(), maximum_qos=1)
    assert filters(limits=limits).decide(Subscription("a", 2, True), 0) == Held("a", "a", 1, no_local=True)


def test_notices_of_a_device_at_the_best_qos_of_the_filters_that_cover_them():
    made = filters(device=M1)
    assert made.qos_of("errors") is None
    made.add(Held("errors", "devices/m1/errors", 0))
    assert made.add(Held("devices/m1/#", "devices/m1/#", 2)) == ("errors", "lifecycle")
    assert (made.qos_of("errors"), made.qos_of("lifecycle"), made.qos_of("settings")) == (1, 1, None)
    made.drop(["devices/m1/#"])
    assert (made.qos_of("errors"), made.qos_of("lifecycle")) == (0, None)


def test_what_its_session_had_is_there_again_and_nothing_else():
    made = filters(device=M1)
    made.add(Held("lifecycle", "devices/m1/lifecycle", 1))
    made.restore({"errors": Held("errors", "devices/m1/errors", 1)})
    assert (made.notices, len(made)) == (["errors"], 1)
