"""Paho, a client that knows nothing of us, as an edge gateway: chunks, refusals, settings and rosters."""

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.e2e.platform_process import STORED_S_MAX, PlatformProcess, ringmain
from tests.e2e.test_mqtt_foreign_paho import ANSWER_S_MAX, V5, V311, Session
from tests.unit.services.gateways.world import REPORT

from ringmain.model.batch import Block, DeadLetter, block_of
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.bulk.codec import encode_chunk
from ringmain.model.gateway import Roster, VersionedSettings, token_sha256, verifier

pytestmark = pytest.mark.slow

NOW_MS = time.time_ns() // 1_000_000
HOUR_MS = 3_600_000
BEFORE_MS = NOW_MS - HOUR_MS
"""What a meter said an hour ago, and the gateway had in its buffer."""
LATER_MS = NOW_MS + HOUR_MS
"""Behind whatever happens while the test runs, and not so far that a clock could not drift there."""
NAMES = ("m-active", "m-suspended", "m-provisioned", "m-foreign", "m-ended", "m-moved")
KEY_OF = {name: place for place, name in enumerate((*NAMES, "m-nobody"))}


def _token(name: str) -> str:
    return f"token-of-{name}-0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    with PlatformProcess(tmp_path_factory.mktemp("gateways") / "data") as running:
        meters = [name for name in NAMES if name != "m-provisioned"]
        rows = [(name, "meter", _token(name)) for name in meters]
        rows += [(name, "gateway", _token(name)) for name in ("gw", "gw-5", "gw-down", "gw-quiet")]
        running.import_devices(rows)
        running.post("/api/v1/devices", {"id": "m-provisioned", "profile": "meter"})
        running.post("/api/v1/devices/m-provisioned/provision")
        yield running


def put(platform: PlatformProcess, path: str, body: object) -> Any:
    return platform.request("PUT", f"/api/v1/gateways/{path}", msgspec.json.encode(body)).json()


def sign_in(platform: PlatformProcess, name: str, version: Any = V5) -> Session:
    session = Session(name, version, _token(name))
    session.client.connect("127.0.0.1", platform.ports.mqtt)
    session.client.loop_start()
    assert session.answered.wait(ANSWER_S_MAX)
    assert session.code == 0
    return session


def hang_up(session: Session) -> None:
    session.client.disconnect()
    session.client.loop_stop()


def said(readings: list[tuple[str, int, int]]) -> Block:
    """Energy of (meter, stamp, Wh)."""
    places, stamps, values = zip(*((KEY_OF[name], at, wh) for name, at, wh in readings), strict=True)
    return block_of(("energy_wh",), places, stamps, values, exact=True)


def chunk(*blocks: Block, letters: tuple[DeadLetter, ...] = ()) -> bytes:
    return encode_chunk(Chunk(tuple(KEY_OF), blocks, letters))


def wait_for(look: Any, what: str) -> Any:
    """What `look` finds, once it finds something."""
    until = time.monotonic() + STORED_S_MAX
    while not (found := look()):
        assert time.monotonic() < until, what
        time.sleep(0.02)
    return found


def documents(session: Session, kind: type, name: str) -> list[Any]:
    return [
        msgspec.json.decode(it.payload, type=kind) for it in session.messages if it.topic == f"devices/gw-down/{name}"
    ]


def test_every_reading_of_a_chunk_has_its_own_outcome(platform: PlatformProcess) -> None:
    put(platform, "gw/delegations", {"devices": ["m-active", "m-suspended", "m-provisioned", "m-ended"]})
    put(platform, "gw/delegations", {"devices": ["m-moved"], "to": "2026-01-01T00:00:00Z"})
    platform.post("/api/v1/devices/m-suspended/suspend")
    platform.request("DELETE", "/api/v1/gateways/gw/delegations/m-ended").json()
    gateway = sign_in(platform, "gw")
    moved_ms = 1_767_225_600_000
    readings = [
        ("m-active", BEFORE_MS, 1), ("m-active", LATER_MS, 2), ("m-active", LATER_MS, 2),
        ("m-suspended", BEFORE_MS, 3), ("m-suspended", LATER_MS, 4),
        ("m-provisioned", LATER_MS, 5),
        ("m-foreign", LATER_MS, 6), ("m-nobody", LATER_MS, 7),
        ("m-ended", BEFORE_MS, 8), ("m-ended", LATER_MS, 9),
        ("m-moved", moved_ms - 1, 10), ("m-moved", moved_ms, 11),
    ]  # fmt: skip
    letter = DeadLetter(KEY_OF["m-active"], BEFORE_MS, "mqtt", "telemetry", b"{", "undecodable_payload", "no JSON")
    unfit = block_of(("energy_wh",), [KEY_OF["m-active"]], [BEFORE_MS + 1], [0.5], exact=False)
    gateway.publish("devices/gw/chunks", chunk(said(readings), unfit, letters=(letter,)))
    gateway.publish("chunks", chunk(said([("m-active", BEFORE_MS, 99)])))
    gateway.publish("chunks", b"no chunk at all")
    assert gateway.puback_codes == [0, 0, 0], "each is durable, whatever it came to"
    hang_up(gateway)
    platform.wait_for_outcome("gw", "dead_letter.undecodable_payload", 1)
    expected = {
        "m-active": {"stored": 2, "duplicate": 1, "conflict": 1, "dead_letter.undecodable_payload": 2},
        "m-suspended": {"stored": 1, "rejected.device_suspended": 1},
        "m-provisioned": {"quarantined": 1},
        "m-foreign": {"rejected.not_delegated": 1},
        "gw": {"rejected.not_delegated": 1, "dead_letter.undecodable_payload": 1},
        "m-ended": {"stored": 1, "rejected.not_delegated": 1},
        "m-moved": {"stored": 1, "rejected.not_delegated": 1},
    }
    assert {name: platform.outcomes(name) for name in expected} == expected
    for name, outcomes in expected.items():
        tally = platform.get(f"/api/v1/devices/{name}/tally")
        assert tally["received"] == tally["accounted"] == sum(outcomes.values())
    assert [value for _, _, value in platform.readings("m-active")] == [1, 2]
    assert [value for _, _, value in platform.readings("m-suspended")] == [3]
    session = platform.get("/api/v1/devices/m-active/session")
    assert (session["state"], session["protocol"], session["expected_interval_s"]) == ("online", "via gw", 1800)
    assert platform.get("/api/v1/devices/m-foreign/session")["state"] == "never_seen"
    platform.post("/api/v1/devices/m-provisioned/activate")
    assert [value for _, _, value in platform.readings("m-provisioned", at_least=1)] == [5]


def test_a_dead_letter_of_a_chunk_can_be_replayed_when_it_may_pass(platform: PlatformProcess) -> None:
    """Here nothing changed, so it comes to the same: a chunk goes the way of a chunk, a meter's letter its own."""
    letters = wait_for(lambda: platform.get("/api/v1/dead-letters?device=gw")["items"], "the letter of the gateway")
    answer = platform.post(f"/api/v1/dead-letters/{letters[0]['id']}/replay")
    assert (answer["dead_lettered"], answer["accepted"]) == (1, 0)
    (unfit, _) = sorted(platform.get("/api/v1/dead-letters?device=m-active")["items"], key=lambda it: -len(it["text"]))
    assert msgspec.json.decode(unfit["text"]) == [{"ts": BEFORE_MS + 1, "values": {"energy_wh": 0.5}}]
    assert platform.post(f"/api/v1/dead-letters/{unfit['id']}/replay")["dead_lettered"] == 1


@pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5"])
def test_only_a_gateway_may_send_chunks_and_only_in_its_own_tree(platform: PlatformProcess, version: Any) -> None:
    before = platform.outcomes("m-active")
    meter, gateway = sign_in(platform, "m-active", version), sign_in(platform, "gw-quiet", version)
    payload = chunk(said([("m-active", BEFORE_MS + 5, 1)]))
    meter.publish("chunks", payload)
    gateway.publish("devices/gw/chunks", payload)
    gateway.publish("devices/gw-quiet/chunks", payload)
    assert meter.puback_codes == ([0x87] if version is V5 else [0])
    assert gateway.puback_codes == ([0x87, 0] if version is V5 else [0, 0])
    hang_up(meter)
    hang_up(gateway)
    rejected = before.get("rejected.not_authorized", 0) + 1
    platform.wait_for_outcome("m-active", "rejected.not_authorized", rejected)
    after = platform.outcomes("m-active")
    assert after["rejected.not_delegated"] == before.get("rejected.not_delegated", 0) + 1
    assert after["stored"] == before["stored"]


def test_a_withdrawn_delegation_and_a_suspension_hold_for_the_next_chunk(platform: PlatformProcess) -> None:
    put(platform, "gw-5/delegations", {"devices": ["m-foreign"]})
    before = platform.outcomes("m-foreign")
    gateway = sign_in(platform, "gw-5")
    for step, at_ms in enumerate((LATER_MS + 1, LATER_MS + 2)):
        gateway.publish("chunks", chunk(said([("m-foreign", at_ms, step)])))
        if not step:
            platform.request("DELETE", "/api/v1/gateways/gw-5/delegations/m-foreign").json()
    put(platform, "gw-5/delegations", {"devices": ["m-foreign"]})
    gateway.publish("chunks", chunk(said([("m-foreign", LATER_MS + 3, 3)])))
    platform.post("/api/v1/devices/m-foreign/suspend")
    gateway.publish("chunks", chunk(said([("m-foreign", LATER_MS + 4, 4)])))
    hang_up(gateway)
    platform.wait_for_outcome("m-foreign", "rejected.device_suspended", 1)
    after = platform.outcomes("m-foreign")
    assert after["stored"] == 2
    assert after["rejected.not_delegated"] == before["rejected.not_delegated"] + 1


def test_a_gateway_is_told_whom_it_speaks_for_and_how_it_is_to_work(platform: PlatformProcess) -> None:
    put(platform, "gw-down/settings", {"keep_alive_s": 33})
    gateway = sign_in(platform, "gw-down")
    gateway.client.subscribe("devices/gw-down/#", 1)
    assert gateway.granted.wait(ANSWER_S_MAX)
    wait_for(lambda: len(gateway.messages) >= 2, "settings and roster after the subscription")
    (first,) = documents(gateway, VersionedSettings, "settings")
    assert (first.version, first.settings.keep_alive_s) == (1, 33)
    (empty,) = documents(gateway, Roster, "roster")
    assert empty.entries == ()
    put(platform, "gw-down/delegations", {"devices": ["m-active", "m-suspended"]})
    put(platform, "gw-down/settings", {"keep_alive_s": 44})
    wait_for(lambda: len(gateway.messages) >= 4, "what changed")
    roster = documents(gateway, Roster, "roster")[-1]
    assert roster.version > empty.version
    assert [(it.id, it.state) for it in roster.entries] == [("m-active", "active"), ("m-suspended", "suspended")]
    assert roster.entries[0].verifiers == (verifier(roster.salt, token_sha256(_token("m-active"))),)
    assert [profile.name for profile in roster.profiles] == ["meter"]
    assert documents(gateway, VersionedSettings, "settings")[-1].settings.keep_alive_s == 44
    gateway.publish("report", msgspec.json.encode(REPORT))
    assert platform.get("/api/v1/gateways/gw-down")["report"]["buffered_readings"] == 5
    hang_up(gateway)


def test_all_of_that_survives_a_restart_and_versions_go_on(platform: PlatformProcess) -> None:
    assert platform.stop() == 0
    platform.start()
    shown = platform.get("/api/v1/gateways/gw-down")
    assert (shown["delegated"], shown["settings_version"], shown["report"]["buffered_readings"]) == (2, 2, 5)
    gateway = sign_in(platform, "gw-down")
    gateway.client.subscribe([("roster", 1), ("settings", 1)])
    wait_for(lambda: len(gateway.messages) >= 2, "settings and roster after the subscription")
    (same,) = documents(gateway, Roster, "roster")
    assert same.version == shown["roster_version"], "nothing new has no new version"
    token = platform.post("/api/v1/devices/m-active/token")["token"]
    wait_for(lambda: len(gateway.messages) >= 3, "the roster with the new token")
    changed = documents(gateway, Roster, "roster")[-1]
    assert changed.version == same.version + 1
    assert changed.entries[0].verifiers == (verifier(changed.salt, token_sha256(token)),)
    hang_up(gateway)
    ls = platform.get("/api/v1/gateways")["items"]
    assert [it["id"] for it in ls] == ["gw", "gw-5", "gw-down", "gw-quiet"]


def test_the_command_line_does_the_same(platform: PlatformProcess) -> None:
    def call(*arguments: str) -> Any:
        done = subprocess.run(
            ringmain("gateway", *arguments, "-o", "json"), env=platform.environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return msgspec.json.decode(done.stdout)

    assert call("settings", "gw-quiet", "keep_alive_s=55", "windows=15m,1h")["windows"] == ["15m", "1h"]
    assert call("settings", "gw-quiet", "answer_s=20")["keep_alive_s"] == 55
    assert call("delegate", "gw-quiet", "m-moved", "m-ended") == {"put": 2, "delegated": 2}
    assert [it["device"] for it in call("undelegate", "gw-quiet", "m-moved")] == ["m-moved"]
    shown = call("show", "gw-quiet")
    assert (shown["settings_version"], shown["delegated"], len(shown["delegations"])) == (2, 1, 2)
    assert len(call("list")) == 4
