"""Reports: what can not be one, and that nothing in one can break whoever tells it on."""

import msgspec
import pytest

from ringmain.gateway.columns import OpenBatch
from ringmain.gateway.translate.gateway_report import REPORT_BYTES_MAX, GatewayReports, read_report
from ringmain.model.device import Device, LifecycleState
from ringmain.model.gateway import GATEWAY_PROFILE, Count, GatewayReport, SettingsState
from ringmain.model.time import INSTANT_MAX

GATEWAY = Device(1, "acme", "gw", GATEWAY_PROFILE, LifecycleState.ACTIVE, "main", 0, 0)
REPORT = GatewayReport(
    version="1.2.3", at_ms=1_700_000_000_000, started_ms=1_600_000_000_000, settings_version=3,
    settings_state=SettingsState.CONFIRMED, settings_detail="", roster_version=7, meters_known=20, meters_connected=19,
    uplink="up", uplink_since_ms=1_650_000_000_000, uplink_connections=2, buffered_readings=5, buffered_bytes=50,
    file_bytes=4096, in_flight=1, backlog_readings=0, backlog_bytes=0, drain_s=None, books=(Count("forwarded", "", 9),),
)  # fmt: skip


def changed(**members):
    return msgspec.json.encode({**msgspec.to_builtins(REPORT), **members})


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 5000,
        changed(at_ms=-1),
        changed(at_ms=INSTANT_MAX + 1),
        changed(started_ms=-1),
        changed(uplink_since_ms=2**70),
        changed(in_flight=-1),
        changed(in_flight=2**64),
        changed(settings_state="perfect"),
        changed(books=[{"outcome": "a", "reason": "", "count": -1}]),
        changed(books=[{"outcome": "a", "reason": "", "count": 2**64}]),
        changed(version="x" * REPORT_BYTES_MAX),
    ],
)
def test_what_is_no_report_is_a_dead_letter_of_the_gateway(payload):
    told = []
    batch = OpenBatch(5)
    dead = GatewayReports(lambda *it: told.append(it)).translate(batch, GATEWAY, [payload], "mqtt", "report")
    assert told == []
    assert [(it.device, it.reason, it.payload) for it in dead] == [(1, "undecodable_payload", payload)]
    assert batch.dead_letters == dead
    assert dead[0].detail
    assert batch.messages == 1


def test_the_newest_of_several_is_told():
    told = []
    batch = OpenBatch(5)
    payloads = [changed(in_flight=1), b"{}", changed(in_flight=2), b"x"]
    dead = GatewayReports(lambda *it: told.append(it)).translate(batch, GATEWAY, payloads, "mqtt", "report")
    assert told == [(GATEWAY, msgspec.structs.replace(REPORT, in_flight=2))]
    assert [it.payload for it in dead] == [b"{}", b"x"]
    assert batch.messages == 4


def test_a_newer_gateway_may_say_more_and_what_was_read_can_be_told_again():
    report = read_report(changed(drain_s=1.5, in_flight=2**64 - 1, mood="good"))
    assert report == msgspec.structs.replace(REPORT, drain_s=1.5, in_flight=2**64 - 1)
    assert read_report(msgspec.json.encode(report)) == report
