"""What a client says: who hears of it, and what is answered where it is not taken."""

import pytest

from ringmain.gateway.broker.access import ConsumerAccess, OpenAccess
from ringmain.gateway.broker.room import Room
from ringmain.gateway.broker.session import Session
from ringmain.gateway.mqtt_uplink import MqttUplink, may_publish
from ringmain.ports.credentials import Role
from ringmain.protocols.mqtt.events import NOTHING_KEPT, Published
from ringmain.protocols.mqtt.properties import Property
from ringmain.protocols.mqtt.reasons import Reason


class Depositor:
    def __init__(self):
        self.settled = []

    def settle(self, identifiers, failed):
        self.settled.append((identifiers, failed))


@pytest.fixture
def said(gateway, monkeypatch):
    """An uplink, its depositor, and the messages that went to the broker as (tenant, message)."""
    heard, depositor = [], Depositor()
    monkeypatch.setattr(gateway.broker, "publish", lambda tenant, message, origin: heard.append((tenant, message)))
    session = Session(("t1", "", "c"), 1, gateway.intake, Room(), lambda _: None)
    return MqttUplink(gateway.door, depositor), session, depositor, heard


OPEN = OpenAccess("t1", frozenset())


def batch(*topics, first=0x32, found=None):
    identifiers = [bytes((0, n)) if first & 6 else b"" for n in range(1, len(topics) + 1)]
    count = len(topics)
    return Published(list(topics), [b"x"] * count, identifiers, [first] * count, [found or {}] * count, plain=False)


def test_an_error_on_our_side_is_a_refusal(caplog):
    class Broken:
        def publishes(self, topic):
            raise RuntimeError("of ours")

    assert may_publish(Broken(), "a") is Reason.NOT_AUTHORIZED
    assert "may not" in caplog.text


async def test_what_is_refused_goes_to_nobody_and_is_answered_and_counted(gateway, said, turns):
    uplink, session, depositor, heard = said
    told = uplink.of_program(ConsumerAccess("t1", "p", Role.VIEWER), session, batch(b"apps/a", b"apps/b"))
    assert told == {b"\0\1": Reason.NOT_AUTHORIZED, b"\0\2": Reason.NOT_AUTHORIZED}
    assert heard == []
    await turns()
    assert depositor.settled == [([b"\0\1", b"\0\2"], None)]
    assert gateway.broker.realm("t1").published == 2


@pytest.mark.parametrize(("first", "told"), [(0x30, {}), (0x32, {b"\0\1": 0x10}), (0x34, {})])
async def test_that_nobody_has_subscribed_is_said_at_qos_1(said, first, told):
    uplink, session, _, heard = said
    assert uplink.of_program(OPEN, session, batch(b"a", first=first)) == told
    assert len(heard) == 1


async def test_the_tenant_is_the_sessions_and_not_the_topics(said):
    uplink, session, _, heard = said
    uplink.of_program(OPEN, session, batch(b"t2/a", b"../t2/a"))
    assert {tenant for tenant, _ in heard} == {"t1"}


async def test_all_of_a_message_goes_with_it(gateway, said):
    uplink, session, _, heard = said
    found = {Property.MESSAGE_EXPIRY: 5, Property.CONTENT_TYPE: "j"}
    uplink.of_program(OPEN, session, batch(b"a", first=0x35, found=found))
    ((_, message),) = heard
    assert (message.topic, message.qos, message.retain, message.found) == ("a", 2, True, found)
    assert message.expires_ms == gateway.clock.now_ms() + 5_000


async def test_nothing_is_retained_where_nothing_is_kept(gateway, said):
    uplink, session, _, heard = said
    gateway.door.limits = NOTHING_KEPT
    uplink.of_program(OPEN, session, batch(b"a", first=0x33))
    ((_, message),) = heard
    assert not message.retain


async def test_at_qos_0_nobody_waits_and_nothing_is_counted(gateway, said, turns):
    uplink, session, depositor, _ = said
    uplink.of_program(OPEN, session, batch(b"a", first=0x30))
    await turns()
    assert depositor.settled == []
    assert gateway.broker.realm("t1").published == 0
