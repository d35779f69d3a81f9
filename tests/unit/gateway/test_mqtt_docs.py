"""The page of the door says what the code does: topics, limits and codes."""

import re
from pathlib import Path

import pytest

from ringmain.apps.config import Mqtt
from ringmain.gateway import attributes, mqtt_filters, mqtt_receipts, provisioning, route
from ringmain.gateway.broker import retained, service
from ringmain.gateway.translate import bulk, gateway_report, samples, values
from ringmain.model.errors import ERRORS
from ringmain.protocols.mqtt import machine, packets, properties, topics
from ringmain.protocols.mqtt.events import Limits
from ringmain.protocols.mqtt.reasons import Reason

PAGE = (Path(__file__).parents[3] / "docs" / "protocols" / "mqtt.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]


def row(start):
    (found,) = [cells for cells in ROWS if cells[0].startswith(start)]
    return found


@pytest.mark.parametrize(
    ("what", "numbers"),
    [
        ("CONNECT", [machine.CONNECT_BYTES_MAX]),
        ("bytes behind a CONNECT", [machine.WAITING_BYTES_MAX]),
        ("a topic", [topics.TOPIC_BYTES_MAX, topics.TOPIC_SLASHES_MAX]),
        ("`+` in a filter", [topics.PLUS_LEVELS_MAX]),
        ("filters of a connection", [mqtt_filters.FILTER_WEIGHT_MAX >> 20, mqtt_filters.LEVEL_WEIGHT]),
        ("messages in flight, MQTT 3.1.1", [mqtt_receipts.IN_FLIGHT_311_MAX]),
        ("user properties", [properties.USER_PROPERTIES_MAX]),
        ("filters of a packet", [packets.FILTERS_MAX]),
        ("subscriptions of a device", [mqtt_filters.SUBSCRIPTIONS_MAX]),
        ("subscriptions of a program", [mqtt_filters.CONSUMER_SUBSCRIPTIONS_MAX]),
        ("topic aliases of a client", [Limits().topic_aliases]),
        ("sessions of all tenants", [service.SESSIONS_MAX]),
        ("retained messages that one SUBSCRIBE", [retained.RETAINED_MAX]),
        (
            "retained messages of a tenant",
            [retained.RETAINED_MAX, retained.RETAINED_BYTES_MAX >> 20, retained.LEVELS_MAX],
        ),
        ("attributes of a device", [attributes.ATTRIBUTES_BYTES_MAX]),
        ("channels", [samples.CHANNELS_PER_MESSAGE_MAX]),
        ("readings of a payload", [samples.READINGS_PER_PAYLOAD_MAX]),
        ("characters of a plain value", [values.VALUE_LENGTH_MAX]),
        ("readings of a chunk", [bulk.CHUNK_READINGS_MAX]),
        ("a gateway's report", [gateway_report.REPORT_BYTES_MAX]),
        ("a request on", [provisioning.REQUEST_BYTES_MAX]),
        ("connections with a claim", [provisioning.CLAIMANTS_MAX]),
        ("time of a connection with a claim", [provisioning.CLAIMANT_S_MAX]),
    ],
)
def test_limits(what, numbers):
    cells = [cells for cells in ROWS if cells[0].startswith(what) and re.search(r"\d", cells[1])]
    assert [int(it.replace(",", "")) for it in re.findall(r"\d[\d,]*", cells[0][1])] == numbers


@pytest.mark.parametrize("key", re.findall(r"`mqtt\.(\w+)`, ([\d,]+)", PAGE), ids=lambda it: it[0])
def test_limits_that_can_be_configured(key):
    name, default = key
    assert getattr(Mqtt(), name) == int(default.replace(",", ""))


def test_topics_are_those_of_the_router():
    ours = set(re.findall(r"^\| `.*`.*\|$", route.__doc__, re.MULTILINE))
    assert len(ours) == 17
    assert ours <= set(PAGE.splitlines())


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("a topic of another device", "foreign_device"),
        ("a gateway's topic", "not_authorized"),
        ("an unknown topic", "unknown_topic"),
    ],
)
def test_what_a_refused_message_hears(what, code):
    assert f"0x{ERRORS[code].mqtt_reason:02X}" in row(what)[2]


@pytest.mark.parametrize("code", sorted(set(re.findall(r"0x[0-9A-F]{2}", PAGE))))
def test_every_code_is_one_that_is_used(code):
    assert int(code, 16) in set(Reason)


@pytest.mark.parametrize(
    ("words", "reason"),
    [("QoS 2", Reason.QOS_NOT_SUPPORTED), ("retained messages", Reason.RETAIN_NOT_SUPPORTED),
     ("topic aliases", Reason.TOPIC_ALIAS_INVALID), ("[Ee]nhanced authentication", Reason.BAD_AUTHENTICATION_METHOD),
     ("subscription identifiers", Reason.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED),
     ("[Ss]hared subscriptions of devices", Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED)],
)  # fmt: skip
def test_what_is_not_offered(words, reason):
    assert re.search(rf"{words}\s+\(0x{reason:02X}", PAGE.partition("## Not offered")[2])
