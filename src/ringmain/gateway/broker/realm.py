"""A realm: all that one tenant has, apart from everybody else's. What is retained and counted in it is durable with the
commit of the message that brought it.
"""

from collections.abc import Callable

from ringmain.gateway.broker.message import COUNTED, Message, encode_message, retained_key
from ringmain.gateway.broker.retained import Retained
from ringmain.gateway.broker.session import Session
from ringmain.gateway.broker.subscriptions import Subscriptions
from ringmain.gateway.intake import Intake
from ringmain.model.errors import Failed
from ringmain.model.ids import TenantId


class Realm:
    """Of one tenant. `published` counts messages of QoS 1 and 2 that its clients have published."""

    def __init__(self, tenant: TenantId, intake: Intake, on_dropped: Callable[[str], None]) -> None:
        self.subscriptions: Subscriptions[Session] = Subscriptions()
        self.retained = Retained()
        self.published = 0
        self._tenant = tenant
        self._intake = intake
        self._on_dropped = on_dropped

    def retain(self, message: Message) -> None:
        """[MQTT-3.3.1-5] [MQTT-3.3.1-6]: the last one stands; an empty one takes it away."""
        key = retained_key(self._tenant, message.topic)
        if not message.payload:
            if self.retained.remove(message.topic):
                self._intake.record({key: None}, lambda failed: self._retained(key, message.topic, failed))
            return
        if not self.retained.takes(message):
            self._on_dropped("retained_full")
            return
        self.retained.put(message)
        self._intake.record({key: encode_message(message)}, lambda failed: self._retained(key, message.topic, failed))

    def _retained(self, key: bytes, topic: str, failed: Failed | None) -> None:
        """Where that failed the next commit says what is kept now: nobody was told that it is."""
        if failed:
            kept = self.retained.get(topic)
            self._intake.tidy(key, encode_message(kept) if kept else None)

    def count(self, messages: int) -> None:
        """So many more were published: so that a commit stands behind each of their acknowledgements, and none
        vanishes uncounted.
        """
        self.published += messages
        key = COUNTED + self._tenant.encode()
        self._intake.record({key: self.published.to_bytes(8, "big")}, lambda failed: self._counted(messages, failed))

    def _counted(self, messages: int, failed: Failed | None) -> None:
        """Those that were not taken come again, and are counted then."""
        if failed:
            self.published -= messages
