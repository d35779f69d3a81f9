"""Starting and ending the platform: a stand-in plays the parts that a real one would rather not."""

import os

import pytest

from ringmain.apps.lab import box, platform
from ringmain.apps.lab.api import ApiError
from ringmain.apps.lab.platform import Ports, platform_blamed, start_platform
from ringmain.apps.lab.processes import Family, StepFailed

pytestmark = pytest.mark.slow

STAND_IN = """
import json, os, pathlib, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, HTTPServer

mode = os.environ["STAND_IN"]
directory = pathlib.Path(sys.argv[sys.argv.index("--storage-dir") + 1])
if mode == "refuses":
    sys.exit("the directory belongs to another process")
if mode == "hangs":
    time.sleep(60)
(directory / "identity").mkdir(parents=True, exist_ok=True)
(directory / "identity" / "admin.token").write_text("rma_1\\n")
asked = 0

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        global asked
        asked += 1
        self.send_response(200 if self.path == "/readyz" and asked > 2 else 503)
        self.send_header("content-length", "0")
        self.end_headers()

server = HTTPServer(("127.0.0.1", 0), Handler)
signal.signal(signal.SIGTERM, lambda *_: os._exit(5 if mode == "ends badly" else 0))
beside = directory / "ports.new"
beside.write_text(json.dumps({"mqtt": 1, "mqtts": 2, "http": server.server_address[1]}))
beside.replace(directory / "ports.json")
(directory / "argv").write_text("\\n".join(sys.argv[1:]))
server.serve_forever()
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    (tmp_path / "lab_stand_in.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(platform, "MODULE", "lab_stand_in")
    data = tmp_path / "data"
    data.mkdir()
    with Family(tmp_path) as family:

        def start(mode):
            monkeypatch.setenv("STAND_IN", mode)
            return start_platform(family, data, "Europe/London", ["--set", "log.level=debug"])

        yield start


def test_it_is_started_on_free_ports_and_waited_for(start, tmp_path):
    started = start("well")
    assert (started.ports.mqtt, started.ports.mqtts) == (1, 2)
    assert started.operator_token == "rma_1"
    assert started.ca == tmp_path / "data" / "identity" / "ca.pem"
    argv = (tmp_path / "data" / "argv").read_text().split("\n")
    assert argv[:2] == ["--set", "log.level=debug"]
    assert "site.zone=Europe/London" in argv
    assert argv[-8:] == ["--storage-dir", str(tmp_path / "data")] + [
        part for port in ("mqtt", "mqtt-tls", "http") for part in (f"--{port}-port", "0")
    ]
    started.box.stop()


def test_ports_that_an_earlier_platform_left_are_not_believed(start, tmp_path):
    (tmp_path / "data" / "ports.json").write_text('{"mqtt": 9, "mqtts": 9, "http": 9}')
    started = start("well")
    assert started.ports != Ports(9, 9, 9)
    started.box.stop()


def test_one_that_does_not_start_is_an_error_with_its_words(start):
    with pytest.raises(StepFailed, match=r"(?s)did not start \(exit code 1\).*belongs to another process"):
        start("refuses")


def test_one_that_never_gets_ready_is_an_error(start, monkeypatch):
    monkeypatch.setattr(box, "READY_S_MAX", 0.3)
    with pytest.raises(StepFailed, match=r"was not ready after 0\.3 s"):
        start("hangs")


def test_one_that_ends_badly_is_an_error(start):
    started = start("ends badly")
    with pytest.raises(StepFailed, match="exit code 5"):
        started.box.stop()


def test_one_that_was_gone_before_is_an_error(start):
    started = start("well")
    os.kill(started.child.pid, 9)
    started.child.wait(5)
    with pytest.raises(StepFailed, match="ended unasked with signal SIGKILL"):
        started.box.stop()


def test_a_failure_behind_which_the_platform_is_gone_is_told_as_that(start):
    started = start("well")
    with pytest.raises(StepFailed, match="ended unasked with signal SIGKILL"), platform_blamed(started):
        os.kill(started.child.pid, 9)
        raise ApiError(0, "no answer")


def test_any_other_failure_is_told_as_it_is(start, monkeypatch):
    monkeypatch.setattr(platform, "BLAME_S", 0.1)
    started = start("well")
    with pytest.raises(ApiError, match="Not for you"), platform_blamed(started):
        raise ApiError(403, "Not for you.")
    started.box.stop()
