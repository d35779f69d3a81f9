"""Attributes are kept as the sum of what was told, and questions are answered with what is kept."""

import json

import pytest

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.gateway.attributes import ATTRIBUTES_BYTES_MAX, Attributes
from ringmain.gateway.broker.message import Message
from ringmain.gateway.broker.service import Broker
from ringmain.gateway.intake import Intake
from ringmain.model.ids import DEFAULT_TENANT, TenantId

OWN = "devices/m1/"


@pytest.fixture
async def broker():
    clock = SimulatedClock()
    return Broker(Intake(SimulatedQueue(), clock, lambda _: None, lambda _: None), clock)


@pytest.fixture
def attributes(broker):
    return Attributes(broker)


@pytest.fixture
def sent(broker, monkeypatch):
    """What goes to subscribers."""
    found = []
    monkeypatch.setattr(broker, "publish", lambda tenant, message: found.append((tenant, message)))
    return found


def kept(broker, name, tenant=DEFAULT_TENANT):
    message = broker.realm(tenant).retained.get(OWN + name)
    return json.loads(message.payload) if message else None


def told(attributes, name, payload, tenant=DEFAULT_TENANT):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    attributes.said(tenant, Message(OWN + name, body, 1))


def test_the_sum_of_what_was_told_is_kept(attributes, broker):
    told(attributes, "attributes", {"model": "A", "firmware": "1.0"})
    told(attributes, "attributes", {"firmware": "1.1"})
    assert kept(broker, "attributes") == {"model": "A", "firmware": "1.1"}
    assert kept(broker, "attributes/shared") is None


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"clientKeys": "model,nothing", "sharedKeys": "limit"}, {"client": {"model": "A"}, "shared": {"limit": 5}}),
        ({"clientKeys": " firmware "}, {"client": {"firmware": "1.0"}}),
        ({}, {"client": {"model": "A", "firmware": "1.0"}, "shared": {"limit": 5, "on": True}}),
        (b"", {"client": {"model": "A", "firmware": "1.0"}, "shared": {"limit": 5, "on": True}}),
        (b"no JSON", {"client": {"model": "A", "firmware": "1.0"}, "shared": {"limit": 5, "on": True}}),
    ],
)
def test_a_question_is_answered_under_its_number(attributes, sent, asked, answer):
    told(attributes, "attributes", {"model": "A", "firmware": "1.0"})
    told(attributes, "attributes/shared", {"limit": 5, "on": True})
    told(attributes, "attributes/request/7", asked)
    ((tenant, message),) = sent
    assert (tenant, message.topic, message.qos) == (DEFAULT_TENANT, OWN + "attributes/response/7", 1)
    assert json.loads(message.payload) == answer


@pytest.mark.parametrize("payload", [b"[1]", b"5", b"", b"{", b"\xff"])
def test_what_is_no_object_is_not_kept(attributes, broker, payload):
    told(attributes, "attributes", {"model": "A"})
    told(attributes, "attributes", payload)
    assert kept(broker, "attributes") == {"model": "A"}


def test_they_do_not_grow_without_end(attributes, broker):
    told(attributes, "attributes", {"a": "x" * (ATTRIBUTES_BYTES_MAX // 2)})
    told(attributes, "attributes", {"b": "x" * ATTRIBUTES_BYTES_MAX})
    assert list(kept(broker, "attributes")) == ["a"]


def test_another_tenants_device_of_that_name_has_its_own(attributes, broker, sent):
    told(attributes, "attributes", {"model": "A"})
    told(attributes, "attributes/request/1", {}, TenantId("other"))
    assert json.loads(sent[0][1].payload) == {"client": {}, "shared": {}}
    assert kept(broker, "attributes", TenantId("other")) is None


@pytest.mark.parametrize("topic", ["devices/m1/telemetry", "apps/m1/attributes", "devices/m1/attributes/request/1/2"])
def test_other_topics_are_let_alone(attributes, broker, sent, topic):
    attributes.said(DEFAULT_TENANT, Message(topic, b'{"a": 1}', 1))
    assert sent == []
    assert broker.realm(DEFAULT_TENANT).retained.count == 0
