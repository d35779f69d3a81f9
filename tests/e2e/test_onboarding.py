"""How devices come in: the page that says it is run as it stands, and the clients that people have try to get in
otherwise.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion
from tests.e2e.platform_process import PlatformProcess

from ringmain.apps.server.certificates import Pair, new_ca
from ringmain.apps.server.client_certificates import Issuer
from ringmain.model.device import Device, LifecycleState
from ringmain.model.time import instant_of

pytestmark = [pytest.mark.slow, pytest.mark.needs("openssl", "curl", "mosquitto_pub", "mosquitto_rr")]

PAGE = Path(__file__).parents[2] / "docs" / "onboarding.md"
SECONDS_MAX = 20.0
TIMED_OUT = 27
"""Of `mosquitto_rr`: nobody answered, and nobody ended the connection."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    with PlatformProcess(tmp_path_factory.mktemp("onboarding") / "data") as running:
        yield running


def run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)


class Keys:
    """A device's key and certificate as files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key, self.csr, self.cert = (folder / f"{name}.{kind}" for kind in ("key", "csr", "pem"))

    def request(self) -> str:
        """A CSR made by openssl."""
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        files = ["-keyout", str(self.key), "-out", str(self.csr)]
        done = run(["openssl", "req", "-new", *kind, *files, "-subj", "/CN=x"], self.folder)
        assert done.returncode == 0, done.stderr
        return self.csr.read_text()


def claim_for(platform: PlatformProcess, id: str, **wanted: object) -> str:
    platform.post("/api/v1/devices", {"id": id, "profile": "generic"})
    return str(platform.post(f"/api/v1/devices/{id}/claims", wanted)["claim"])


def redeem(platform: PlatformProcess, claim: str, **body: str):
    return platform.request("POST", "/api/v1/claims/redeem", json.dumps(body).encode(), token=claim)


def certified(platform: PlatformProcess, folder: Path, id: str) -> Keys:
    """An active device with a certificate."""
    keys = Keys(folder, id)
    answer = redeem(platform, claim_for(platform, id), csr=keys.request()).json()
    assert (answer["device"], answer["state"]) == (id, "active")
    keys.cert.write_text(answer["certificate"])
    return keys


def publish(platform: PlatformProcess, keys: Keys, *options: str) -> "subprocess.CompletedProcess[str]":
    door = ["-h", "127.0.0.1", "-p", str(platform.ports.mqtts), "--cafile", str(platform.ca)]
    mine = ["--cert", str(keys.cert), "--key", str(keys.key)]
    message = ["-q", "1", "-t", "telemetry", "-m", '{"v": 1}']
    return run(["mosquitto_pub", "-V", "5", *door, *mine, *message, *options], keys.folder)


def test_the_page_is_right(platform: PlatformProcess, tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    script = "set -euo pipefail\n" + "\n".join(blocks)
    environment = {
        **platform.environment,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HTTP": f"http://127.0.0.1:{platform.ports.http}",
        "HOST": "127.0.0.1",
        "MQTTS": str(platform.ports.mqtts),
        "ADMIN": platform.admin_token,
        "CA": str(platform.ca),
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "subject=O = default, CN = gw-1" in done.stdout.replace("O=", "O = ").replace("CN=", "CN = ")
    assert "used up" in done.stdout
    platform.readings("gw-1", 1)
    assert [(channel, value) for _, channel, value in platform.readings("meter-1", 1)] == [("energy_wh", 210)]
    for id in ("gw-1", "meter-1"):
        journal = platform.get(f"/api/v1/devices/{id}/journal")["items"]
        assert [(entry["to"], entry["by"]) for entry in journal] == [("provisioned", "claim"), ("active", "claim")]


@pytest.mark.parametrize("user", ["", "paho-1", "default/paho-1"])
def test_paho_signs_in_with_its_certificate(platform: PlatformProcess, tmp_path: Path, user: str) -> None:
    id = "paho-1"
    if not user:
        certified(platform, platform.directory.parent, id)
    keys = Keys(platform.directory.parent, id)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"c-{user}", protocol=mqtt.MQTTv5)
    client.tls_set(str(platform.ca), str(keys.cert), str(keys.key))
    if user:
        client.username_pw_set(user)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect("127.0.0.1", platform.ports.mqtts)
    client.loop_start()
    try:
        assert connected.wait(SECONDS_MAX)
        sent = client.publish("telemetry", json.dumps({f"v{len(user)}": 1}), qos=1)
        sent.wait_for_publish(SECONDS_MAX)
        assert sent.is_published()
    finally:
        client.disconnect()
        client.loop_stop()
    platform.readings(id, 1)


def test_a_certificate_that_is_of_no_use(platform: PlatformProcess, tmp_path: Path) -> None:
    """Suspended, active again, another user name, another's token, revoked, decommissioned."""
    keys, other = certified(platform, tmp_path, "cert-1"), Keys(tmp_path, "cert-2")
    token = redeem(platform, claim_for(platform, "cert-2"), csr=other.request()).json()["token"]
    assert publish(platform, keys).returncode == 0
    platform.post("/api/v1/devices/cert-1/suspend")
    assert "Not authorized" in publish(platform, keys).stderr
    platform.post("/api/v1/devices/cert-1/activate")
    assert publish(platform, keys).returncode == 0
    for options in (["-u", "cert-2"], ["-u", "cert-2", "-P", token], ["-u", "cert-1", "-P", "wrong"]):
        assert "Bad User Name or Password" in publish(platform, keys, *options).stderr, options
    platform.post("/api/v1/devices/cert-1/token")
    assert publish(platform, keys).returncode == 0
    (held,) = platform.get("/api/v1/devices/cert-1/certificates")["items"]
    assert platform.request("DELETE", f"/api/v1/devices/cert-1/certificates/{held['serial']}").status == 200
    assert "Bad User Name or Password" in publish(platform, keys).stderr
    keys.cert.write_text(
        platform.post("/api/v1/devices/cert-1/certificates", {"csr": keys.csr.read_text()})["certificate"]
    )
    assert publish(platform, keys).returncode == 0
    platform.post("/api/v1/devices/cert-1/decommission")
    assert "Bad User Name or Password" in publish(platform, keys).stderr
    assert len(platform.readings("cert-1", 4)) == 4


def _of(ca: Pair, keys: Keys, at: datetime) -> None:
    """A certificate as our own, but for its CA or its time."""
    device = Device(1, "default", "cert-3", "generic", LifecycleState.ACTIVE, "main", 0, 0)
    issued = Issuer(ca)(keys.csr.read_text(), device, instant_of(at))
    keys.cert.write_bytes(x509.load_der_x509_certificate(issued.certificate.der).public_bytes(Encoding.PEM))


def test_tls_lets_no_foreign_or_expired_certificate_pass(platform: PlatformProcess, tmp_path: Path) -> None:
    keys, now = certified(platform, tmp_path, "cert-3"), datetime.now(UTC)
    identity = platform.directory / "identity"
    ours = Pair((identity / "ca.key").read_bytes(), (identity / "ca.pem").read_bytes())
    forged = []
    for ca, at in ((new_ca(now), now), (ours, now - timedelta(days=398))):
        _of(ca, keys, at)
        forged.append(publish(platform, keys))
    _of(ours, keys, now)  # a sound one of the right CA, but nobody granted it
    assert "Bad User Name or Password" in publish(platform, keys).stderr
    for done in forged:
        assert done.returncode != 0
        assert "Bad User Name" not in done.stderr
    server = Keys(tmp_path, "server")
    server.cert, server.key = identity / "server.pem", identity / "server.key"
    assert publish(platform, server).returncode != 0
    assert platform.readings("cert-3") == []


def test_a_self_signed_certificate_with_our_cas_name_is_foreign(platform: PlatformProcess, tmp_path: Path) -> None:
    keys, key, now = Keys(tmp_path, "forged"), ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    issuer = x509.load_pem_x509_certificate(platform.ca.read_bytes()).subject
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gw-1")])
    builder = x509.CertificateBuilder(issuer, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
    keys.cert.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    keys.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    done = publish(platform, keys)
    assert done.returncode != 0
    assert "Bad User Name" not in done.stderr


def test_a_used_claim_is_used_at_every_door(platform: PlatformProcess, tmp_path: Path) -> None:
    claim = claim_for(platform, "used-1")
    assert redeem(platform, claim, nonce="n" * 16).status == 200
    refused = redeem(platform, claim)
    unknown = redeem(platform, "rmc_" + "a" * 43)
    assert refused.status == unknown.status == 401
    told = [json.loads(answer.body) for answer in (refused, unknown)]
    assert told[0]["detail"] == told[1]["detail"]
    over_mqtt = json.loads(_ask(platform, tmp_path, claim).stdout)
    assert (over_mqtt["error"], over_mqtt["detail"]) == ("bad_credentials", told[0]["detail"])
    again = json.loads(_ask(platform, tmp_path, claim, body='{"nonce": "nnnnnnnnnnnnnnnn"}').stdout)
    assert again == redeem(platform, claim, nonce="n" * 16).json()


def _ask(
    platform: PlatformProcess, folder: Path, claim: str, topic: str = "provision", body: str = "{}"
) -> "subprocess.CompletedProcess[str]":
    door = ["-V", "5", "-h", "127.0.0.1", "-p", str(platform.ports.mqtts), "--cafile", str(platform.ca)]
    asked = ["-q", "1", "-u", "claim", "-P", claim, "-t", topic, "-e", "provision/answer", "-m", body, "-W", "5"]
    return run(["mosquitto_rr", *door, *asked], folder)


def test_a_claimant_is_no_device(platform: PlatformProcess, tmp_path: Path) -> None:
    claim = claim_for(platform, "early-1")
    for topic in ("telemetry", "devices/early-1/telemetry", "status", "provision/answer"):
        done = _ask(platform, tmp_path, claim, topic, '{"v": 1}')
        assert (done.stdout, done.returncode == TIMED_OUT) == ("", False), topic
    assert platform.get("/api/v1/devices/early-1")["state"] == "registered"
    assert platform.readings("early-1") == []
    assert json.loads(_ask(platform, tmp_path, claim).stdout)["state"] == "active"


def test_through_a_gateway(platform: PlatformProcess, tmp_path: Path) -> None:
    """What an edge does with a meter's claim: the answer comes back, and the meter is delegated to it."""
    platform.post("/api/v1/devices", {"id": "gw-9", "profile": "gateway"})
    keys = Keys(tmp_path, "gw-9")
    made = platform.post("/api/v1/devices/gw-9/claims", {})["claim"]
    keys.cert.write_text(redeem(platform, made, csr=keys.request()).json()["certificate"])
    claim = claim_for(platform, "behind-9")
    passed = json.dumps({"id": 7, "claim": claim, "body": {"nonce": "n" * 16}})
    door = ["-V", "5", "-h", "127.0.0.1", "-p", str(platform.ports.mqtts), "--cafile", str(platform.ca)]
    mine = ["--cert", str(keys.cert), "--key", str(keys.key), "-q", "1", "-W", "5"]
    topics = ["-t", "devices/gw-9/claims", "-e", "devices/gw-9/claims/answers", "-m", passed]
    done = run(["mosquitto_rr", *door, *mine, *topics], tmp_path)
    told = json.loads(done.stdout)
    assert (told["id"], told["answer"]["device"], told["answer"]["state"]) == (7, "behind-9", "active")
    assert redeem(platform, claim, nonce="n" * 16).json() == told["answer"]
    assert [held["device"] for held in platform.get("/api/v1/gateways/gw-9/delegations")["items"]] == ["behind-9"]


def test_a_claim_survives_the_end_of_the_platform(platform: PlatformProcess) -> None:
    """Killed behind the answer that nobody heard; the same claimant hears it from the next process."""
    claim = claim_for(platform, "crash-1")
    first = redeem(platform, claim, nonce="c" * 16).json()
    open_claim = claim_for(platform, "crash-2")
    platform.kill()
    platform.start()
    assert redeem(platform, claim, nonce="c" * 16).json() == first
    assert redeem(platform, claim, nonce="d" * 16).status == 401
    assert redeem(platform, open_claim).json()["state"] == "active"
    body = json.dumps({"ts": 1_767_225_600_000, "values": {"v": 1}}).encode()
    assert platform.request("POST", "/api/v1/telemetry", body, token=first["token"]).status == 200
    assert platform.readings("crash-1", 1) == [("2026-01-01T00:00:00Z", "v", 1)]


def test_no_secret_is_in_the_log(platform: PlatformProcess) -> None:
    """After all of the above, which is why it stands last."""
    said = platform.log.read_text(encoding="utf-8", errors="replace")
    assert "rmc_" not in said
    assert "PRIVATE KEY" not in said
    database = (platform.directory / "registry.sqlite").read_bytes()
    wal = platform.directory / "registry.sqlite-wal"
    stored = database + (wal.read_bytes() if wal.exists() else b"")
    assert b"rmc_" not in stored
