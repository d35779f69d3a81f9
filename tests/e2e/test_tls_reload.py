"""Certificates, keys, CAs and revocation lists that change under a platform that runs, seen by openssl and Paho."""

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.e2e.platform_process import PlatformProcess, ringmain
from tests.unit.apps.server.pki import Authority, Pem

pytestmark = [pytest.mark.slow, pytest.mark.needs("openssl")]

SECONDS_MAX = 10.0
CUT_S_MAX = 1.0
TOKEN = "token-of-meter-0123456789abcdef0123456789abcdef"


class Site:
    """A platform with an operator's certificate, client CA and list."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.operator = Authority(folder)
        self.cert, self.key, self.crl = folder / "tls.pem", folder / "tls.key", folder / "crl.pem"
        self.bring("front-1")
        self.crl.write_bytes(self.operator.crl())
        keys = {"CERTIFICATE": self.cert, "KEY": self.key, "CLIENT_CA": self.operator.cert, "CRL": self.crl}
        self.platform = PlatformProcess(
            folder / "data", environment={f"RINGMAIN_TLS__{name}": str(path) for name, path in keys.items()}
        )

    def bring(self, name: str) -> None:
        server = self.operator.server(name)
        self.cert.write_bytes(server.pem + self.operator.pem)
        self.key.write_bytes(server.key.read_bytes())

    def hang_up(self) -> None:
        self.platform._process.send_signal(signal.SIGHUP)

    def s_client(self, *options: str) -> "subprocess.CompletedProcess[str]":
        """A handshake of openssl's."""
        where = ["-connect", f"127.0.0.1:{self.platform.ports.mqtts}", "-CAfile", str(self.operator.cert)]
        return subprocess.run(
            ["openssl", "s_client", *where, "-servername", "localhost", *options],
            input="", capture_output=True, text=True, check=False, timeout=SECONDS_MAX,
        )  # fmt: skip

    def shown(self, *options: str) -> str:
        """The name in the certificate that is shown."""
        done = self.s_client(*options)
        assert "Verify return code: 0" in done.stdout, done.stdout + done.stderr
        found = re.search(r"subject=.*CN ?= ?(\S+)", done.stdout)
        assert found, done.stdout
        return found[1]

    def log_after(self, mark: int) -> str:
        return self.platform.log.read_bytes()[mark:].decode(errors="replace")

    @property
    def mark(self) -> int:
        return self.platform.log.stat().st_size


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("tls"))
    with site.platform:
        names = ("meter", "good", "bad", "waits")
        site.platform.import_devices([(name, "generic", TOKEN.replace("meter", name)) for name in names])
        yield site


class Client:
    """Paho over TLS; a context manager that has signed in."""

    def __init__(self, site: Site, name: str, pem: Pem | None = None, password: str | None = None) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        self.client.tls_set(str(site.operator.cert), *((str(pem.cert), str(pem.key)) if pem else ()))
        if password:
            self.client.username_pw_set(name, password)
        self.answered, self.ended = threading.Event(), threading.Event()
        self.code = self.end_code = -1
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected
        self.client.connect("localhost", site.platform.ports.mqtts)

    def _connected(self, *arguments) -> None:
        self.code = arguments[3].value
        self.answered.set()

    def _disconnected(self, *arguments) -> None:
        self.end_code = arguments[3].value
        self.ended.set()

    def publish(self, value: int) -> None:
        sent = self.client.publish("telemetry", json.dumps({"v": value}), 1)
        sent.wait_for_publish(SECONDS_MAX)
        assert sent.is_published()

    def __enter__(self) -> "Client":
        self.client.loop_start()
        assert self.answered.wait(SECONDS_MAX), "no CONNACK"
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def _wait(condition: Callable[[], bool], seconds: float = SECONDS_MAX) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_changed_files_are_noticed_and_nobody_is_disconnected(site: Site) -> None:
    assert site.shown() == "front-1"
    with Client(site, "meter", password=TOKEN) as client:
        assert client.code == 0
        site.bring("front-2")
        _wait(lambda: site.shown() == "front-2")
        client.publish(1)
        assert not client.ended.is_set()
        with Client(site, "waits", password=TOKEN.replace("meter", "waits")) as other:
            assert other.code == 0


def test_sighup_takes_them_at_once(site: Site) -> None:
    with Client(site, "meter", password=TOKEN) as client:
        mark = site.mark
        site.bring("front-3")
        site.hang_up()
        _wait(lambda: "CN=front-3" in site.log_after(mark), CUT_S_MAX)
        assert site.shown() == "front-3"
        client.publish(2)
    assert site.platform.alive


def test_the_command_takes_them_at_once_and_says_what_is_in_force(site: Site) -> None:
    site.bring("front-4")
    done = subprocess.run(
        ringmain("tls", "reload", "-o", "json"),
        env=site.platform.environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["certificate"], said["revoked"]) == ("CN=front-4", 0)
    assert site.shown() == "front-4"


def test_bad_files_are_refused_and_those_in_force_stay(site: Site) -> None:
    before, key = site.shown(), site.key.read_bytes()
    mark = site.mark
    site.key.write_bytes(site.operator.server("stranger").key.read_bytes())
    answer = site.platform.request("POST", "/api/v1/platform/tls/reload", b"")
    assert answer.status == 422
    assert b"can not be used" in answer.body
    site.hang_up()
    _wait(lambda: site.log_after(mark).count("those in force stay") >= 2)
    assert site.shown() == before
    site.key.write_bytes(key)


def _silent(site: Site, pem: Pem) -> "subprocess.Popen[bytes]":
    """Somebody who has shook hands and says nothing."""
    shown = ["-cert", str(pem.cert), "-key", str(pem.key), "-quiet"]
    return subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{site.platform.ports.mqtts}", *shown],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_list_revokes_who_is_connected_and_who_comes(site: Site) -> None:
    good, bad, waits = (site.operator.client(name, "default") for name in ("good", "bad", "waits"))
    with Client(site, "good", good) as stays, Client(site, "bad", bad) as goes, _silent(site, waits) as silent:
        assert (stays.code, goes.code) == (0, 0)
        goes.publish(3)
        time.sleep(0.3)
        assert silent.poll() is None
        site.crl.write_bytes(site.operator.crl([bad, waits]))
        answer = site.platform.post("/api/v1/platform/tls/reload")
        began = time.monotonic()
        assert answer["revoked"] == 2
        assert goes.ended.wait(CUT_S_MAX)
        assert goes.end_code in {0x86, 0x87}
        silent.wait(CUT_S_MAX)
        assert time.monotonic() - began < CUT_S_MAX
        goes.client.loop_stop()
        stays.publish(4)
        assert not stays.ended.is_set()
        shown = [["-cert", str(each.cert), "-key", str(each.key), "-tls1_2"] for each in (bad, waits, good)]
        assert [site.s_client(*options).returncode for options in shown] == [1, 1, 0]
        with Client(site, "bad", password=TOKEN.replace("meter", "bad")) as token:
            assert token.code == 0
    site.crl.write_bytes(site.operator.crl())
    site.platform.post("/api/v1/platform/tls/reload")
    with Client(site, "bad", bad) as again:
        assert again.code == 0


def test_a_revoked_client_that_does_not_listen_is_gone_as_soon(site: Site) -> None:
    """Its TLS would have half a minute to answer our last word."""
    waits = site.operator.client("waits", "default")

    def sockets() -> int:
        open_ones = psutil.Process(site.platform.pid).net_connections("tcp")
        door = site.platform.ports.mqtts
        return sum(1 for it in open_ones if it.laddr and it.raddr and it.laddr.port == door)

    _wait(lambda: sockets() == 0)
    with _silent(site, waits) as deaf:
        _wait(lambda: sockets() == 1)
        time.sleep(0.3)
        deaf.send_signal(signal.SIGSTOP)
        try:
            site.crl.write_bytes(site.operator.crl([waits]))
            site.platform.post("/api/v1/platform/tls/reload")
            _wait(lambda: sockets() == 0, CUT_S_MAX)
        finally:
            deaf.kill()
    site.crl.write_bytes(site.operator.crl())
    site.platform.post("/api/v1/platform/tls/reload")


@pytest.mark.parametrize(
    ("common", "organisation", "code"), [("good", None, 0), ("good", "acme", 0x86), ("nobody", "default", 0x86)]
)
def test_a_certificate_of_the_operators_ca_is_the_device_that_it_names(
    site: Site, common: str, organisation: str | None, code: int
) -> None:
    with Client(site, "x", site.operator.client(common, organisation)) as client:
        assert client.code == code


def test_only_tls_1_3_and_1_2_with_forward_secrecy(site: Site) -> None:
    assert "TLSv1.3" in site.s_client().stdout
    assert re.search(r"Cipher is ECDHE-\S*(GCM|POLY1305)", site.s_client("-tls1_2").stdout)
    for options in (["-tls1_1"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"]):
        assert "Cipher is (NONE)" in site.s_client(*options).stdout


def test_a_door_for_certificates_alone(tmp_path: Path) -> None:
    """With the platform's own CA, and without any further file."""
    environment = {"RINGMAIN_MQTT__TLS_CLIENT_CERTIFICATE": "required"}
    with PlatformProcess(tmp_path / "data", environment=environment) as platform:
        csr = tmp_path / "m.csr"
        made = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        files = ["-keyout", str(tmp_path / "m.key"), "-out", str(csr), "-subj", "/CN=x"]
        subprocess.run([*made, *files], check=True, capture_output=True, timeout=SECONDS_MAX)
        platform.post("/api/v1/devices", {"id": "m", "profile": "generic"})
        claim = platform.post("/api/v1/devices/m/claims", {})["claim"]
        redeemed = platform.request(
            "POST", "/api/v1/claims/redeem", json.dumps({"csr": csr.read_text()}).encode(), token=claim
        ).json()
        (tmp_path / "m.pem").write_text(redeemed["certificate"])

        def shake(*options: str) -> int:
            where = ["-connect", f"127.0.0.1:{platform.ports.mqtts}", "-CAfile", str(platform.ca), "-tls1_2"]
            done = subprocess.run(
                ["openssl", "s_client", *where, *options],
                input="", capture_output=True, text=True, check=False, timeout=SECONDS_MAX,
            )  # fmt: skip
            return done.returncode

        assert shake() == 1
        assert shake("-cert", str(tmp_path / "m.pem"), "-key", str(tmp_path / "m.key")) == 0


def test_a_start_with_bad_files_says_which(tmp_path: Path) -> None:
    operator = Authority(tmp_path)
    server = operator.server("front")
    lacking = tmp_path / "no-crl.pem"
    environment = {
        "RINGMAIN_TLS__CERTIFICATE": str(server.cert),
        "RINGMAIN_TLS__KEY": str(server.key),
        "RINGMAIN_TLS__CRL": str(lacking),
    }
    platform = PlatformProcess(tmp_path / "data", environment=environment)
    with pytest.raises(AssertionError) as refused, platform:
        pass
    assert str(lacking) in str(refused.value)
    assert platform._process.returncode == 3
