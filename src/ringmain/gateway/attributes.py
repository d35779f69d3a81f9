"""Attributes of devices, in the shapes of ThingsBoard's device API: what a device tells of itself (client attributes),
what it is told (shared attributes), and its questions for both. They are kept as retained messages:

    devices/{id}/attributes               client attributes, all that were told so far
    devices/{id}/attributes/shared        shared attributes, all that were set so far
    devices/{id}/attributes/request/{n}   {"clientKeys": "a,b", "sharedKeys": "c"}; without keys it asks for all
    devices/{id}/attributes/response/{n}  {"client": {...}, "shared": {...}}

What is published is what has changed; it is delivered as it is, and what is kept is the sum.
"""

from typing import Any

import msgspec

from ringmain.gateway.broker.message import Message
from ringmain.gateway.broker.service import Broker
from ringmain.model.ids import TenantId

ATTRIBUTES_BYTES_MAX = 65_536
"""All attributes of one device and kind. A device has some dozens; ThingsBoard bounds a value at some kilobytes."""

CLIENT, SHARED = "attributes", "attributes/shared"
_REQUEST, _RESPONSE = "attributes/request/", "attributes/response/"


class _Asked(msgspec.Struct, frozen=True):
    clientKeys: str | None = None  # noqa: N815 - their word
    sharedKeys: str | None = None  # noqa: N815


_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Any]).decode
_asked = msgspec.json.Decoder(_Asked).decode


class Attributes:
    """One for all tenants."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def said(self, tenant: TenantId, message: Message) -> None:
        """A message on a topic of the tenant's tree went out; keep or answer it where it is about attributes."""
        first, _, rest = message.topic.partition("/")
        device_id, _, name = rest.partition("/")
        if first != "devices" or not name.startswith("attributes"):
            return
        if name in (CLIENT, SHARED):
            self._keep(tenant, message)
        elif name.startswith(_REQUEST) and "/" not in name[len(_REQUEST) :]:
            self._answer(tenant, f"devices/{device_id}/", name[len(_REQUEST) :], message)

    def _keep(self, tenant: TenantId, message: Message) -> None:
        """Add what is new to what is known. What is no JSON object, or would be too much, is not kept."""
        try:
            told = _object(message.payload)
        except (msgspec.DecodeError, RecursionError):
            return
        body = _encode({**self._known(tenant, message.topic), **told})
        if len(body) <= ATTRIBUTES_BYTES_MAX:
            self._broker.keep(tenant, Message(message.topic, body, message.qos, retain=True))

    def _answer(self, tenant: TenantId, own: str, number: str, message: Message) -> None:
        try:
            asked = _asked(message.payload or b"{}")
        except (msgspec.DecodeError, RecursionError):
            asked = _Asked()
        answer: dict[str, dict[str, object]] = {}
        everything = asked.clientKeys is None and asked.sharedKeys is None
        for kind, topic, keys in (("client", CLIENT, asked.clientKeys), ("shared", SHARED, asked.sharedKeys)):
            if everything or keys is not None:
                known = self._known(tenant, own + topic)
                wanted = known if keys is None else [each.strip() for each in keys.split(",")]
                answer[kind] = {each: known[each] for each in wanted if each in known}
        self._broker.publish(tenant, Message(f"{own}{_RESPONSE}{number}", _encode(answer), 1))

    def _known(self, tenant: TenantId, topic: str) -> dict[str, object]:
        kept = self._broker.realm(tenant).retained.get(topic)
        try:
            return _object(kept.payload) if kept else {}
        except (msgspec.DecodeError, RecursionError):
            return {}
