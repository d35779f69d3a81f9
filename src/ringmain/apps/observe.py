"""Observation: every metric the platform has.

Metrics are declared here and moved by the wrappers of the composition, never inside a service. A label's values are
few and known: protocols, reasons, states, route patterns. Never a device id, a tenant or a path as it was asked for.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

LABEL_SETS_MAX = 256
"""Series of one metric. The widest, route by status class, needs about 150; what would be more is counted as `other`,
so that no peer can grow our memory or the monitoring's by inventing values."""

METRICS_TYPE = CONTENT_TYPE_PLAIN_1_0_0

M = TypeVar("M", Counter, Gauge)


class Labelled(Generic[M]):
    """A metric with labels, of which only the first `LABEL_SETS_MAX` sets of values get a series of their own."""

    def __init__(self, metric: M, names: Sequence[str]) -> None:
        self.metric: M = metric
        self.names = tuple(names)
        self._children: dict[tuple[str, ...], M] = {}
        self._other = ("other",) * len(self.names)

    def of(self, *values: str) -> M:
        """The series of these label values, in the order of the declaration."""
        child = self._children.get(values)
        if child is None:
            kept = values if len(self._children) < LABEL_SETS_MAX - 1 else self._other
            child = self._children.setdefault(kept, self.metric.labels(*kept))
        return child


class Metrics(msgspec.Struct, frozen=True):
    """Every metric by name. One of these per process, made by `new_metrics`."""

    registry: CollectorRegistry
    connections: Labelled[Gauge]
    packets_malformed: Labelled[Counter]
    messages_received: Labelled[Counter]
    messages_dropped: Labelled[Counter]
    sparkplug: Labelled[Counter]
    readings: Labelled[Counter]
    commits: Counter
    commit_seconds: Histogram
    commit_readings: Histogram
    log_bytes: Gauge
    log_limit_bytes: Gauge
    ingest_lag_entries: Gauge
    sessions: Labelled[Gauge]
    auth_refusals: Labelled[Counter]
    dead_letters: Counter
    http_requests: Labelled[Counter]

    def render(self) -> bytes:
        """The text that a scrape of `/metrics` gets; its content type is `METRICS_TYPE`."""
        return generate_latest(self.registry)


_COMMIT_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""From a fast NVMe's sync (0.5 ms) to a disk in trouble; above 5 s a device's own acknowledgement timer fires."""

_COMMIT_READINGS = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
"""Group commit takes whatever arrived during the last sync: from one lone meter to a full second of a fleet."""


def new_metrics() -> Metrics:
    """A registry of its own, with all metrics at zero."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)

    def counter(name: str, doc: str, *labels: str) -> Labelled[Counter]:
        return Labelled(Counter(f"ringmain_{name}", doc, labels, registry=registry), labels)

    def gauge(name: str, doc: str, *labels: str) -> Labelled[Gauge]:
        return Labelled(Gauge(f"ringmain_{name}", doc, labels, registry=registry), labels)

    return Metrics(
        registry=registry,
        connections=gauge("connections", "Open connections of devices.", "protocol"),
        packets_malformed=counter("packets_malformed", "Packets that ended their connection.", "reason"),
        messages_received=counter("messages_received", "Messages that came in through a door.", "door"),
        messages_dropped=counter("messages_dropped", "Messages that did not reach a session.", "reason"),
        sparkplug=counter("sparkplug", "Metrics and messages of Sparkplug that are no readings.", "what"),
        readings=counter("readings", "Readings by what became of them.", "outcome"),
        commits=Counter("ringmain_commits", "Synced commits of the ingest log.", registry=registry),
        commit_seconds=Histogram(
            "ringmain_commit_seconds", "Time of one synced commit.", buckets=_COMMIT_SECONDS, registry=registry
        ),
        commit_readings=Histogram(
            "ringmain_commit_readings", "Readings in one commit.", buckets=_COMMIT_READINGS, registry=registry
        ),
        log_bytes=Gauge("ringmain_log_bytes", "Size of the ingest log.", registry=registry),
        log_limit_bytes=Gauge("ringmain_log_limit_bytes", "Size at which it refuses more.", registry=registry),
        ingest_lag_entries=Gauge(
            "ringmain_ingest_lag_entries",
            "Log entries that the time-series store has not taken yet.",
            registry=registry,
        ),
        sessions=gauge("sessions", "Devices by the state of their session.", "state"),
        auth_refusals=counter("auth_refusals", "Sign-ins refused.", "reason"),
        dead_letters=Counter(
            "ringmain_dead_letters", "Payloads kept because they could not be decoded.", registry=registry
        ),
        http_requests=counter("http_requests", "HTTP requests answered.", "route", "status_class"),
    )
