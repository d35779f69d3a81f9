"""curl at the HTTP door."""

import base64
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.platform_process import PlatformProcess

pytestmark = [pytest.mark.slow, pytest.mark.needs("curl")]

TOKEN = "token-of-{}-0123456789abcdef0123456789abcdef"
DEVICES = ("single", "plain", "batch", "twice", "conflict", "broken", "wrong", "suspended", "large", "method")
BASE_MS = 1_767_225_600_000


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    environment = {"RINGMAIN_HTTP__BODY_BYTES_MAX": "100000"}
    with PlatformProcess(tmp_path_factory.mktemp("curl") / "data", environment=environment) as running:
        running.import_devices([(name, "generic", TOKEN.format(name)) for name in DEVICES])
        yield running


def _curl(platform: PlatformProcess, token: str, body: str, *options: str) -> tuple[int, Any]:
    """(status, decoded answer) of a POST of telemetry."""
    command = [
        *("curl", "--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"),
        *("--header", f"Authorization: Bearer {token}", "--header", "Content-Type: application/json"),
        *("--data-binary", "@-", *options, f"http://127.0.0.1:{platform.ports.http}/api/v1/telemetry"),
    ]
    done = subprocess.run(command, input=body, capture_output=True, text=True, check=True, timeout=30)
    answer, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(answer)


def test_one_reading_with_its_time(platform: PlatformProcess) -> None:
    status, answer = _curl(platform, TOKEN.format("single"), f'{{"ts":{BASE_MS},"values":{{"kwh":1.25,"v":230}}}}')
    assert (status, answer["accepted"], answer["rejected"], answer["dead_lettered"]) == (200, 2, 0, 0)
    assert platform.readings("single", 2) == [("2026-01-01T00:00:00Z", "kwh", 1.25), ("2026-01-01T00:00:00Z", "v", 230)]


def test_plain_values_get_the_time_of_their_arrival(platform: PlatformProcess) -> None:
    status, answer = _curl(platform, TOKEN.format("plain"), '{"v":230.5}')
    assert (status, answer["accepted"]) == (200, 1)
    platform.readings("plain", 1)
    latest = platform.get("/api/v1/devices/plain/latest")["items"]
    assert [(item["channel"], item["value"], item["stamped_on_arrival"]) for item in latest] == [("v", 230.5, True)]


def test_a_batch_is_stored_whole(platform: PlatformProcess) -> None:
    batch = [{"ts": BASE_MS + n * 1000, "values": {"kwh": n / 4}} for n in range(500)]
    status, answer = _curl(platform, TOKEN.format("batch"), json.dumps(batch))
    assert (status, answer["received"], answer["accepted"]) == (200, 500, 500)
    assert [value for _, _, value in platform.readings("batch", 500)] == [n / 4 for n in range(500)]


def test_the_same_again_is_a_duplicate(platform: PlatformProcess) -> None:
    body = f'{{"ts":{BASE_MS},"values":{{"kwh":1}}}}'
    assert [_curl(platform, TOKEN.format("twice"), body)[0] for _ in range(3)] == [200] * 3
    platform.wait_for_outcome("twice", "duplicate", 2)
    assert platform.outcomes("twice")["stored"] == 1
    assert len(platform.readings("twice")) == 1


def test_another_value_at_the_same_time_is_a_conflict_and_the_first_stays(platform: PlatformProcess) -> None:
    for value in (1, 2):
        assert _curl(platform, TOKEN.format("conflict"), f'{{"ts":{BASE_MS},"values":{{"kwh":{value}}}}}')[0] == 200
    platform.wait_for_outcome("conflict", "conflict", 1)
    assert platform.readings("conflict") == [("2026-01-01T00:00:00Z", "kwh", 1)]
    found = platform.get("/api/v1/conflicts?device=conflict")["items"]
    assert [(item["stored"], item["received"]) for item in found] == [(1, 2)]


def test_bad_json_has_a_durable_outcome_too(platform: PlatformProcess) -> None:
    status, answer = _curl(platform, TOKEN.format("broken"), '{"kwh": ')
    assert (status, answer["accepted"], answer["dead_lettered"]) == (200, 0, 1)
    assert answer["reason"] == "undecodable_payload"
    platform.wait_for_outcome("broken", "dead_letter.undecodable_payload", 1)
    letters = platform.get("/api/v1/dead-letters?device=broken")["items"]
    assert [(letter["door"], base64.b64decode(letter["payload"])) for letter in letters] == [("http", b'{"kwh": ')]


@pytest.mark.parametrize("token", ["wrong-token", TOKEN.format("nobody")])
def test_wrong_token_is_refused_with_a_problem(platform: PlatformProcess, token: str) -> None:
    status, problem = _curl(platform, token, '{"v":1}')
    assert (status, problem["type"]) == (401, "urn:ringmain:problem:bad_credentials")


def test_the_administrators_token_is_no_devices(platform: PlatformProcess) -> None:
    assert _curl(platform, platform.admin_token, '{"v":1}')[0] == 401


def test_a_devices_token_opens_nothing_else(platform: PlatformProcess) -> None:
    answer = platform.request("GET", "/api/v1/devices", token=TOKEN.format("single"))
    assert answer.status in (401, 403)


def test_suspended_device_is_refused_and_counted(platform: PlatformProcess) -> None:
    platform.post("/api/v1/devices/suspended/suspend")
    status, problem = _curl(platform, TOKEN.format("suspended"), '{"v":1}')
    assert (status, problem["type"]) == (403, "urn:ringmain:problem:device_suspended")
    platform.wait_for_outcome("suspended", "rejected.device_suspended", 1)
    assert platform.readings("suspended") == []


def test_a_body_beyond_the_limit_is_refused(platform: PlatformProcess) -> None:
    body = json.dumps([{"ts": BASE_MS + n, "values": {"kwh": n}} for n in range(5000)])
    status, problem = _curl(platform, TOKEN.format("large"), body, "--header", "Expect:")
    assert (status, problem["type"]) == (413, "urn:ringmain:problem:too_large")
    assert platform.readings("large") == []


def test_other_methods_are_not_possible(platform: PlatformProcess) -> None:
    status, problem = _curl(platform, TOKEN.format("method"), "{}", "--request", "PUT")
    assert (status, problem["type"]) == (405, "urn:ringmain:problem:method_not_allowed")
