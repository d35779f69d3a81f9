"""The host: its STATE, whom it asks and how often, and what it forgets."""

import json

import pytest

from ringmain.gateway.translate import sparkplug_host as module
from ringmain.gateway.translate.sparkplug_counted import Counted
from ringmain.gateway.translate.sparkplug_host import REBIRTH_INTERVAL_MS, SparkplugHost, rebirth_payload
from ringmain.model.device import Device, LifecycleState
from ringmain.protocols.sparkplug.births import Declared
from ringmain.protocols.sparkplug.metric import Kind, Metric, Payload
from ringmain.protocols.sparkplug.payload import decode_payload
from ringmain.protocols.sparkplug.topics import MessageType, Topic
from ringmain.protocols.sparkplug.values import DataType, metric_of

NOW = 1_700_000_000_000


def device(key, tenant="acme"):
    return Device(key, tenant, f"n{key}", "generic", LifecycleState.ACTIVE, "main", 0, 0)


class Desk:
    def __init__(self):
        self.sent, self.counts = [], []
        self.host = SparkplugHost(
            "ringmain", lambda *message: self.sent.append(message), lambda *it: self.counts.append(it)
        )

    def born(self, key, metrics=1, group="g"):
        topic = Topic(group, MessageType.NBIRTH, f"n{key}")
        node = self.host.node(device(key), topic)
        declared = tuple(metric_of(f"m{at}", DataType.INT8, 1) for at in range(metrics - 1))
        node.session.take(topic, Payload(1, (metric_of("bdSeq", DataType.INT64, 0), *declared), 0))
        self.host.weigh(node)
        return node

    def node(self, key, group="g", kind=MessageType.NDATA):
        return self.host.node(device(key), Topic(group, kind, f"n{key}"))


@pytest.fixture
def desk():
    return Desk()


@pytest.mark.parametrize("host_id", ["", "a/b", "+", "#"])
def test_an_id_that_no_topic_may_hold(host_id):
    with pytest.raises(ValueError, match="host application"):
        SparkplugHost(host_id, lambda *_: None, lambda *_: None)


def test_state_is_told_to_each_tenant_retained_at_qos_1(desk):
    desk.host.announce(["acme", "rival"], NOW)
    desk.host.announce(["later"], NOW + 1)
    desk.host.withdraw(NOW + 2)
    desk.host.withdraw(NOW + 3)
    assert [(tenant, topic, json.loads(body), qos, retain) for tenant, topic, body, qos, retain in desk.sent] == [
        ("acme", "spBv1.0/STATE/ringmain", {"online": True, "timestamp": NOW}, 1, True),
        ("rival", "spBv1.0/STATE/ringmain", {"online": True, "timestamp": NOW}, 1, True),
        ("later", "spBv1.0/STATE/ringmain", {"online": True, "timestamp": NOW + 1}, 1, True),
        ("acme", "spBv1.0/STATE/ringmain", {"online": False, "timestamp": NOW + 2}, 1, True),
        ("rival", "spBv1.0/STATE/ringmain", {"online": False, "timestamp": NOW + 2}, 1, True),
        ("later", "spBv1.0/STATE/ringmain", {"online": False, "timestamp": NOW + 2}, 1, True),
    ]


def test_a_rebirth_request(desk):
    desk.host.ask_rebirth(device(1), "g 1", NOW)
    assert desk.sent == [("acme", "spBv1.0/g 1/NCMD/n1", rebirth_payload(NOW), 0, False)]
    assert decode_payload(rebirth_payload(NOW)) == Payload(
        NOW, (Metric("Node Control/Rebirth", timestamp=NOW, datatype=11, kind=Kind.BOOLEAN, value=True),)
    )


def test_a_node_is_not_asked_again_at_once(desk):
    for later_ms in (0, 1, REBIRTH_INTERVAL_MS - 1, REBIRTH_INTERVAL_MS, REBIRTH_INTERVAL_MS + 1):
        desk.host.ask_rebirth(device(1), "g", NOW + later_ms)
    desk.host.ask_rebirth(device(2), "g", NOW)
    asked, held = (Counted.REBIRTH_ASKED, 1), (Counted.REBIRTH_HELD, 1)
    assert desk.counts == [asked, held, held, asked, held, asked]
    assert len(desk.sent) == 3


def test_a_clock_that_steps_back_does_not_silence_it(desk):
    desk.host.ask_rebirth(device(1), "g", NOW)
    desk.host.ask_rebirth(device(1), "g", NOW - 86_400_000)
    assert len(desk.sent) == 2


def test_whom_it_asked_long_ago_is_forgotten(desk, monkeypatch):
    monkeypatch.setattr(module, "NODES_MAX", 2)
    for key in (1, 2):
        desk.host.ask_rebirth(device(key), "g", NOW)
    desk.host.ask_rebirth(device(3), "g", NOW + REBIRTH_INTERVAL_MS)
    assert set(desk.host._asked_ms) == {3}


def test_a_node_is_followed_under_the_group_of_its_last_birth(desk):
    node = desk.born(1)
    assert desk.node(1) is node
    other = desk.node(1, "h")
    assert (other.session.declared, other is node) == (0, False)
    assert desk.node(1, "h", MessageType.NDEATH) is not node, "the will of a former group ends nothing"
    assert desk.node(1).session.declared == 1
    node.channels.claim(Declared("", "a", 3), own=False)
    moved = desk.born(1, 3, "h")
    assert moved.channels.sharing(Declared("", "a", 3), own=False) == ("", [])
    assert (moved is node, moved.session.group, moved.session.declared) == (True, "h", 3)
    assert desk.node(1, "g").session.declared == 0


def test_an_unknown_node_is_followed_from_its_first_word(desk):
    assert desk.node(1) is desk.node(1)
    assert desk.node(1) is not desk.node(2)


def test_beyond_the_limit_the_oldest_birth_is_forgotten(desk, monkeypatch):
    monkeypatch.setattr(module, "DECLARED_TOTAL_MAX", 10)
    for key in (1, 2, 3):
        desk.born(key, 3)
    desk.born(1, 4)
    assert desk.counts == []
    desk.born(4, 3)
    assert desk.counts == [(Counted.NODE_FORGOTTEN, 1)]
    assert [desk.node(key).session.declared for key in (1, 2, 3, 4)] == [4, 0, 3, 3]
    assert desk.host._declared == 10


def test_more_nodes_than_the_limit_are_not_followed(desk, monkeypatch):
    monkeypatch.setattr(module, "NODES_MAX", 2)
    for key in (1, 2, 3):
        desk.born(key)
    assert [desk.node(key).session.declared for key in (3, 2, 1)] == [1, 1, 0]
