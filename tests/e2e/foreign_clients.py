"""Three MQTT clients of others under one name: Paho, aiomqtt and gmqtt, each in its own words.

Every test of `test_mqtt_foreign_clients.py` runs with each of them. None shares code with the platform.
"""

import asyncio
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import aiomqtt
import gmqtt
import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

ANSWER_S_MAX = 10.0
V5 = MQTTProtocolVersion.MQTTv5


class Door(msgspec.Struct, frozen=True):
    """Where to connect, and as whom. `ca` is the authority to trust where it is TLS."""

    port: int
    user: str = ""
    password: str = ""
    ca: str = ""

    def tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.ca) if self.ca else None


class Heard(msgspec.Struct, frozen=True):
    """A message as the client shows it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    user: tuple[tuple[str, str], ...] = ()
    response: str = ""
    correlation: bytes = b""
    expiry_s: int | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What goes with a message besides topic and payload, and with a will."""

    qos: int = 1
    retain: bool = False
    user: tuple[tuple[str, str], ...] = ()
    response: str = ""
    correlation: bytes = b""
    expiry_s: int | None = None


PLAIN = Said()


def _properties(said: Said) -> Properties:
    found = Properties(PacketTypes.PUBLISH)
    if said.user:
        found.UserProperty = list(said.user)
    if said.response:
        found.ResponseTopic = said.response
        found.CorrelationData = said.correlation
    if said.expiry_s is not None:
        found.MessageExpiryInterval = said.expiry_s
    return found


def _heard(message: Any) -> Heard:
    """Of a message of Paho or of aiomqtt."""
    found = message.properties.json() if message.properties else {}
    return Heard(
        str(message.topic),
        bytes(message.payload),
        message.qos,
        bool(message.retain),
        tuple((key, value) for key, value in found.get("UserProperty", ())),
        found.get("ResponseTopic", ""),
        bytes.fromhex(found.get("CorrelationData", "")),
        found.get("MessageExpiryInterval"),
    )


class Client(ABC):
    """What the tests do with each of them. `expiry_s` other than 0 asks for a session that is kept."""

    present: bool | None = None
    """Whether the server said that the session was there; None where the client does not tell."""

    def __init__(
        self, door: Door, name: str, *, expiry_s: int = 0, will: tuple[str, bytes, Said] | None = None
    ) -> None:
        self._door, self._name, self._expiry_s, self._will = door, name, expiry_s, will
        self._inbox: asyncio.Queue[Heard] = asyncio.Queue()
        self.ended = asyncio.Event()

    @abstractmethod
    async def connect(self) -> int:
        """The reason code of the CONNACK."""

    @abstractmethod
    async def subscribe(self, pattern: str, qos: int = 2) -> int:
        """The code in SUBACK."""

    @abstractmethod
    async def publish(self, topic: str, payload: bytes, said: Said = PLAIN) -> int:
        """Wait for the acknowledgement; its code where the client tells it."""

    @abstractmethod
    async def disconnect(self) -> None:
        """An orderly end."""

    @abstractmethod
    async def lose(self) -> None:
        """The connection ends without DISCONNECT."""

    async def next(self, seconds: float = ANSWER_S_MAX) -> Heard:
        return await asyncio.wait_for(self._inbox.get(), seconds)

    async def several(self, count: int) -> list[Heard]:
        return [await self.next() for _ in range(count)]

    async def silence(self, seconds: float = 0.3) -> Sequence[Heard]:
        """What came although nothing should."""
        await asyncio.sleep(seconds)
        return [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]


class Paho(Client):
    async def connect(self) -> int:
        loop = asyncio.get_running_loop()
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=self._name, protocol=V5)
        if self._door.user:
            client.username_pw_set(self._door.user, self._door.password)
        if context := self._door.tls():
            client.tls_set_context(context)
        if self._will:
            topic, payload, said = self._will
            client.will_set(topic, payload, said.qos, said.retain)
        connected: asyncio.Future[int] = loop.create_future()
        self._waiting: dict[tuple[str, int], asyncio.Future[int]] = {}

        def on_connect(_client: Any, _data: Any, flags: Any, reason: Any, _found: Any) -> None:
            self.present = flags.session_present
            loop.call_soon_threadsafe(lambda: connected.done() or connected.set_result(reason.value))

        client.on_connect = on_connect
        client.on_message = lambda _c, _d, message: loop.call_soon_threadsafe(self._inbox.put_nowait, _heard(message))
        client.on_disconnect = lambda *_: loop.call_soon_threadsafe(self.ended.set)
        client.on_subscribe = lambda _c, _d, mid, codes, _p: self._tell(loop, "subscribe", mid, codes[0].value)
        client.on_publish = lambda _c, _d, mid, code, _p: self._tell(loop, "publish", mid, code.value)
        client.reconnect_delay_set(60, 60)
        found = Properties(PacketTypes.CONNECT)
        if self._expiry_s:
            found.SessionExpiryInterval = self._expiry_s
        await loop.run_in_executor(
            None,
            lambda: client.connect(
                "127.0.0.1" if not self._door.ca else "localhost",
                self._door.port,
                clean_start=not self._expiry_s,
                properties=found,
            ),
        )
        client.loop_start()
        self._client = client
        return await asyncio.wait_for(connected, ANSWER_S_MAX)

    def _tell(self, loop: asyncio.AbstractEventLoop, what: str, mid: int, code: int) -> None:
        loop.call_soon_threadsafe(lambda: self._answer(loop, what, mid).set_result(code))

    def _answer(self, loop: asyncio.AbstractEventLoop, what: str, mid: int) -> "asyncio.Future[int]":
        return self._waiting.setdefault((what, mid), loop.create_future())

    async def _wait(self, what: str, mid: int | None) -> int:
        assert mid is not None
        answer = self._answer(asyncio.get_running_loop(), what, mid)
        try:
            return await asyncio.wait_for(answer, ANSWER_S_MAX)
        finally:
            del self._waiting[what, mid]

    async def subscribe(self, pattern: str, qos: int = 2) -> int:
        return await self._wait("subscribe", self._client.subscribe(pattern, qos)[1])

    async def publish(self, topic: str, payload: bytes, said: Said = PLAIN) -> int:
        sent = self._client.publish(topic, payload, said.qos, said.retain, _properties(said))
        return await self._wait("publish", sent.mid)

    async def disconnect(self) -> None:
        self._client.disconnect()
        await asyncio.get_running_loop().run_in_executor(None, self._client.loop_stop)

    async def lose(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._client.loop_stop)
        self._client._sock_close()


class Aiomqtt(Client):
    async def connect(self) -> int:
        found = Properties(PacketTypes.CONNECT)
        if self._expiry_s:
            found.SessionExpiryInterval = self._expiry_s
        will = (
            aiomqtt.Will(self._will[0], self._will[1], self._will[2].qos, self._will[2].retain) if self._will else None
        )
        self._client = aiomqtt.Client(
            "127.0.0.1" if not self._door.ca else "localhost",
            self._door.port,
            identifier=self._name,
            username=self._door.user or None,
            password=self._door.password or None,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=not self._expiry_s,
            properties=found,
            will=will,
            tls_context=self._door.tls(),
            timeout=ANSWER_S_MAX,
        )
        try:
            await self._client.__aenter__()
        except aiomqtt.MqttCodeError as error:
            return int(getattr(error.rc, "value", error.rc or 0))
        self._reader = asyncio.get_running_loop().create_task(self._read())
        return 0

    async def _read(self) -> None:
        try:
            async for message in self._client.messages:
                self._inbox.put_nowait(_heard(message))
        except aiomqtt.MqttError:
            self.ended.set()

    async def subscribe(self, pattern: str, qos: int = 2) -> int:
        codes = await self._client.subscribe(pattern, qos)
        return int(getattr(codes[0], "value", codes[0]))

    async def publish(self, topic: str, payload: bytes, said: Said = PLAIN) -> int:
        await self._client.publish(topic, payload, said.qos, said.retain, _properties(said))
        return 0

    async def disconnect(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        try:
            await self._client.__aexit__(None, None, None)
        except aiomqtt.MqttError:
            assert self.ended.is_set(), "it was not the server that ended it"

    async def lose(self) -> None:
        lost = self._client._client.socket()
        assert lost is not None
        lost.shutdown(socket.SHUT_RDWR)
        await asyncio.wait_for(self._reader, ANSWER_S_MAX)


class Gmqtt(Client):
    async def connect(self) -> int:
        options: dict[str, Any] = {"session_expiry_interval": self._expiry_s} if self._expiry_s else {}
        if self._will:
            topic, payload, said = self._will
            options["will_message"] = gmqtt.Message(topic, payload, said.qos, said.retain)
        client = gmqtt.Client(self._name, clean_session=not self._expiry_s, **options)
        client.set_config({"reconnect_retries": -2})  # none: -1 is without end, and 0 is one
        if self._door.user:
            client.set_auth_credentials(self._door.user, self._door.password)
        self._granted: asyncio.Queue[int] = asyncio.Queue()

        def on_connect(_client: Any, flags: int, _code: int, _found: Any) -> None:
            self.present = bool(flags & 1)

        client.on_connect = on_connect
        client.on_message = self._on_message
        client.on_subscribe = lambda _client, _mid, codes, _found: self._granted.put_nowait(codes[0])
        client.on_disconnect = lambda *_: self.ended.set()
        self._client = client
        host = "localhost" if self._door.ca else "127.0.0.1"
        try:
            await asyncio.wait_for(client.connect(host, self._door.port, ssl=self._door.tls() or False), ANSWER_S_MAX)
        except gmqtt.mqtt.handler.MQTTConnectError as error:
            client._connection._transport.abort()
            await asyncio.sleep(0.05)
            return int(error._code)
        return 0

    def _on_message(self, _client: Any, topic: str, payload: bytes, qos: int, found: dict[str, Any]) -> int:
        self._inbox.put_nowait(
            Heard(
                topic,
                bytes(payload),
                qos,
                bool(found.get("retain")),
                tuple((key, value) for key, value in found.get("user_property", ())),
                *found.get("response_topic", [""])[:1],
                *found.get("correlation_data", [b""])[:1],
                *found.get("message_expiry_interval", [None])[:1],
            )
        )
        return 0

    async def subscribe(self, pattern: str, qos: int = 2) -> int:
        self._client.subscribe(pattern, qos=qos)
        return await asyncio.wait_for(self._granted.get(), ANSWER_S_MAX)

    async def publish(self, topic: str, payload: bytes, said: Said = PLAIN) -> int:
        options: dict[str, Any] = {}
        if said.user:
            options["user_property"] = list(said.user)
        if said.response:
            options |= {"response_topic": said.response, "correlation_data": said.correlation}
        if said.expiry_s is not None:
            options["message_expiry_interval"] = said.expiry_s
        self._client.publish(topic, payload, qos=said.qos, retain=said.retain, **options)
        if said.qos:
            await asyncio.wait_for(self._client._persistent_storage.wait_empty(), ANSWER_S_MAX)
        return 0

    async def disconnect(self) -> None:
        await self._client.disconnect()

    async def lose(self) -> None:
        self._client._connection._transport.abort()
        await asyncio.sleep(0)


CLIENTS: dict[str, type[Client]] = {"paho": Paho, "aiomqtt": Aiomqtt, "gmqtt": Gmqtt}
