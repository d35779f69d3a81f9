"""A Sparkplug node over a foreign MQTT client: it hears that its host is there, is asked for a rebirth, and stored."""

import threading
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from tests.e2e.platform_process import PlatformProcess

from ringmain.protocols.sparkplug.metric import Metric, Payload
from ringmain.protocols.sparkplug.payload import decode_payload, encode_payload
from ringmain.protocols.sparkplug.values import DataType, metric_of

pytestmark = pytest.mark.slow

AT_MS = 1_767_225_600_000
ANSWER_S_MAX = 10.0
GROUP = "spBv1.0/plant"


def payload(seq: int | None, *metrics: Metric) -> bytes:
    return encode_payload(Payload(AT_MS, metrics, seq))


def number(name: str, value: float, step: int = 0) -> Metric:
    return metric_of(name, DataType.DOUBLE, value, timestamp=AT_MS + step)


class Node:
    def __init__(self, platform: PlatformProcess) -> None:
        self.heard: dict[str, bytes] = {}
        self._news = threading.Condition()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "n", protocol=mqtt.MQTTProtocolVersion.MQTTv311)
        self.client.username_pw_set("node", "secret")
        self.client.will_set(f"{GROUP}/NDEATH/node", payload(None, metric_of("bdSeq", DataType.INT64, 0)), 1)
        self.client.on_message = self._on_message
        granted = threading.Event()
        self.client.on_subscribe = lambda *_: granted.set()
        self.client.connect("127.0.0.1", platform.ports.mqtt)
        self.client.loop_start()
        self.client.subscribe([(f"{GROUP}/NCMD/node", 1), ("spBv1.0/STATE/ringmain", 1)])
        assert granted.wait(ANSWER_S_MAX)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._news:
            self.heard[message.topic] = message.payload
            self._news.notify_all()

    def wait_for(self, topic: str) -> bytes:
        with self._news:
            assert self._news.wait_for(lambda: topic in self.heard, ANSWER_S_MAX), f"nothing on {topic}"
            return self.heard[topic]

    def say(self, kind: str, seq: int, *metrics: Metric, below: str = "") -> None:
        self.client.publish(f"{GROUP}/{kind}/node{below}", payload(seq, *metrics), 1).wait_for_publish(ANSWER_S_MAX)

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_a_node_is_asked_for_its_birth_and_stored(tmp_path: Path) -> None:
    with PlatformProcess(tmp_path / "data") as platform:
        platform.import_devices([("node", "generic", "secret")])
        node = Node(platform)
        try:
            assert b'"online":true' in node.wait_for("spBv1.0/STATE/ringmain")
            node.say("NDATA", 5, number("Temperature/Ambient", 20.0))
            (asked,) = decode_payload(node.wait_for(f"{GROUP}/NCMD/node")).metrics
            assert (asked.name, asked.value) == ("Node Control/Rebirth", True)
            bd = metric_of("bdSeq", DataType.INT64, 0)
            node.say("NBIRTH", 0, bd, number("Temperature/Ambient", 21.5, 1000))
            node.say("NDATA", 1, number("Temperature/Ambient", 22.5, 2000))
            node.say("DBIRTH", 2, number("Flow", 1.25), below="/pump")
        finally:
            node.leave()
        stored = {(channel, value) for _, channel, value in platform.readings("node", at_least=3)}
        assert {("Temperature_Ambient", 21.5), ("Temperature_Ambient", 22.5), ("pump_Flow", 1.25)} <= stored
