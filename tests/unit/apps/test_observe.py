"""The metrics: rendered as Prometheus reads them, and bounded."""

from prometheus_client.parser import text_string_to_metric_families

from ringmain.apps.observe import LABEL_SETS_MAX, METRICS_TYPE, new_metrics


def families(rendered: bytes) -> dict[str, list]:
    return {family.name: family.samples for family in text_string_to_metric_families(rendered.decode())}


def test_metrics_are_rendered_as_prometheus_reads_them() -> None:
    metrics = new_metrics()
    metrics.readings.of("stored").inc(3)
    metrics.readings.of("duplicate").inc()
    metrics.connections.of("mqtt").set(2)
    metrics.commit_seconds.observe(0.004)
    metrics.commit_readings.observe(300)
    metrics.http_requests.of("/api/v1/devices/{id}", "2xx").inc()
    found = families(metrics.render())
    totals = {s.labels["outcome"]: s.value for s in found["ringmain_readings"] if s.name.endswith("_total")}
    assert totals == {"stored": 3.0, "duplicate": 1.0}
    assert found["ringmain_connections"][0].value == 2
    counted = {s.labels["le"]: s.value for s in found["ringmain_commit_seconds"] if s.name.endswith("_bucket")}
    assert counted["0.002"] == 0
    assert counted["0.005"] == 1
    assert METRICS_TYPE.startswith("text/plain")


def test_two_of_them_are_strangers() -> None:
    first, second = new_metrics(), new_metrics()
    first.commits.inc()
    assert families(second.render())["ringmain_commits"][0].value == 0


def test_invented_label_values_do_not_grow_the_memory() -> None:
    metrics = new_metrics()
    for made_up in range(LABEL_SETS_MAX * 3):
        metrics.auth_refusals.of(f"reason-{made_up}").inc()
    series = [s for s in families(metrics.render())["ringmain_auth_refusals"] if s.name.endswith("_total")]
    assert len(series) == LABEL_SETS_MAX
    assert sum(s.value for s in series) == LABEL_SETS_MAX * 3
    assert next(s.value for s in series if s.labels["reason"] == "other") == LABEL_SETS_MAX * 2 + 1


def test_a_known_series_keeps_counting_at_the_limit() -> None:
    metrics = new_metrics()
    metrics.messages_received.of("mqtt").inc()
    for made_up in range(LABEL_SETS_MAX * 2):
        metrics.messages_received.of(f"door-{made_up}")
    metrics.messages_received.of("mqtt").inc()
    series = {
        s.labels["door"]: s.value
        for s in families(metrics.render())["ringmain_messages_received"]
        if s.name.endswith("_total")
    }
    assert series["mqtt"] == 2


def test_no_metric_has_a_device_for_a_label() -> None:
    metrics = new_metrics()
    names = {name for field in metrics.__struct_fields__ for name in getattr(getattr(metrics, field), "names", ())}
    assert names == {"protocol", "reason", "door", "outcome", "state", "route", "status_class", "what"}
