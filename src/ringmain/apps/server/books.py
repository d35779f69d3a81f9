"""Books: what the platform counts, moved here from the news of its rooms; no service counts for itself."""

from ringmain.apps.observe import Metrics
from ringmain.gateway.connections import Connections
from ringmain.gateway.intake import Committed
from ringmain.gateway.translate.sparkplug_counted import Counted
from ringmain.model.ids import Offset
from ringmain.ports.timeseries import Appended
from ringmain.protocols.mqtt.events import Closed
from ringmain.protocols.mqtt.reasons import Reason
from ringmain.services.sessions.service import Sessions

_VIOLATIONS = frozenset(
    {
        Reason.MALFORMED_PACKET, Reason.PROTOCOL_ERROR, Reason.UNSUPPORTED_PROTOCOL_VERSION,
        Reason.CLIENT_IDENTIFIER_NOT_VALID, Reason.BAD_AUTHENTICATION_METHOD, Reason.TOPIC_NAME_INVALID,
        Reason.TOPIC_FILTER_INVALID, Reason.TOPIC_ALIAS_INVALID, Reason.RECEIVE_MAXIMUM_EXCEEDED,
        Reason.PACKET_TOO_LARGE, Reason.RETAIN_NOT_SUPPORTED, Reason.QOS_NOT_SUPPORTED,
        Reason.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, Reason.QUOTA_EXCEEDED,
    }
)  # fmt: skip


class Books:
    """The listeners that the composition hands to the rooms."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._received: dict[str, int] = {}

    def committed(self, news: Committed) -> None:
        """A commit of the log."""
        metrics = self._metrics
        metrics.commits.inc()
        metrics.commit_seconds.observe(news.seconds)
        metrics.commit_readings.observe(news.batch.readings)

    def appended(self, news: Appended) -> None:
        """An append to the store."""
        readings = self._metrics.readings
        for outcome, count in (
            ("stored", news.stored),
            ("duplicate", news.duplicates),
            ("conflict", news.conflicts),
            ("quarantined", news.quarantined),
            ("rejected", news.rejected),
        ):
            if count:
                readings.of(outcome).inc(count)
        if news.dead_letters:
            self._metrics.dead_letters.inc(news.dead_letters)

    def received(self, door: str, count: int) -> None:
        """Messages came in. This runs once a read, so it only adds; the metric follows when somebody looks."""
        self._received[door] = self._received.get(door, 0) + count

    def refused(self, code: str) -> None:
        """A sign-in was refused."""
        self._metrics.auth_refusals.of(code).inc()

    def dropped(self, count: int) -> None:
        """Messages of QoS 0 came while there was no room: nobody will send them again."""
        self._metrics.readings.of("dropped").inc(count)

    def message_dropped(self, reason: str) -> None:
        """A message did not reach a session: its queue is full, it expired, its subscriber does not read."""
        self._metrics.messages_dropped.of(reason).inc()

    def sparkplug(self, what: Counted, count: int) -> None:
        """Of Sparkplug: what was left out, asked for, or forgotten."""
        self._metrics.sparkplug.of(what.value).inc(count)

    def closed(self, event: Closed) -> None:
        """A connection ended; if the peer broke the standard, that is counted."""
        if not event.by_peer and event.reason in _VIOLATIONS:
            self._metrics.packets_malformed.of(event.reason.name.lower()).inc()

    def look(
        self, connections: Connections, sessions: Sessions, log_bytes: int, log_limit: int, last: Offset, stored: Offset
    ) -> None:
        """What is measured when somebody asks."""
        metrics = self._metrics
        for door, count in self._received.items():
            metrics.messages_received.of(door).inc(count)
        self._received.clear()
        metrics.connections.of("mqtt").set(connections.count)
        for state, count in sessions.counts().items():
            metrics.sessions.of(state.value).set(count)
        metrics.log_bytes.set(log_bytes)
        metrics.log_limit_bytes.set(log_limit)
        metrics.ingest_lag_entries.set(last - stored)
