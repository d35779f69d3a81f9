"""`ringmain simulate meters` as it is typed: what it refuses, and one run against a server that hears nothing else."""

import json
import socket
import socketserver
import threading

import pytest

from ringmain.apps.cli import simulate_meters
from ringmain.apps.cli.exits import CommandError
from ringmain.apps.cli.main import run
from ringmain.apps.cli.simulate import meters
from ringmain.apps.cli.simulate_meters import Options

pytestmark = pytest.mark.slow  # seconds together; the fast tier has its neighbours


def simulate(*options):
    return run(["simulate", "meters", *map(str, options)])


class Broker(socketserver.ThreadingTCPServer):
    """Accepts, acknowledges, and keeps the payloads of short QoS 1 messages."""

    daemon_threads = True

    def __init__(self):
        self.payloads = []
        super().__init__(("127.0.0.1", 0), BrokerHandler)


class BrokerHandler(socketserver.StreamRequestHandler):
    def handle(self):
        while head := self.rfile.read(1):
            length = self.rfile.read(1)[0]
            if length & 128:
                length = (length & 127) | self.rfile.read(1)[0] << 7
            body = self.rfile.read(length)
            if head == b"\x10":
                self.wfile.write(b"\x20\x02\x00\x00")
            elif head[0] & 0xF0 == 0x30:
                end = 2 + int.from_bytes(body[:2], "big")
                self.server.payloads.append((body[2:end].decode(), json.loads(body[end + 2 :])))
                self.wfile.write(b"\x40\x02" + body[end : end + 2])


@pytest.fixture
def broker():
    with Broker() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_every_option_of_the_command_is_one_of_its_struct():
    assert {parameter.name for parameter in meters.params} == set(Options.__struct_fields__)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--start", "soon"), "expected a time such as"),
        (("--every-s", "7"), "whole number"),
        (("--count", "0"), "--count"),
        (("--channels", "speed"), "channels are"),
        (("--id-prefix", "a/b"), "can not name a device"),
        (("--replay-homes", "3"), "needs --replay"),
        (("--zone", "Atlantis"), "not a time zone"),
        (("--speed", "1e9"), "speed"),
        (("--qos", "2"), "--qos"),
    ],
)
def test_what_makes_no_sense_is_a_matter_of_usage(capsys, options, said):
    assert simulate(*options) == 2
    assert said in capsys.readouterr().err


def test_to_resume_one_has_to_say_from_when_registers_count(tmp_path, capsys):
    path = tmp_path / "last.csv"
    path.write_text("id,last\nmeter-1,2026-01-01T00:00:00Z\n")
    assert simulate("--resume-after", path) == 2
    assert "--registers-from" in capsys.readouterr().err


def test_more_meters_than_the_system_has_files_for_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(simulate_meters.resource, "getrlimit", lambda _: (256, 256))
    assert simulate("--count", 200) == 4
    assert "200 meters need 264 open files" in capsys.readouterr().err


def test_without_numpy_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ringmain.apps.cli.simulate_meters", None)
    with pytest.raises(CommandError) as caught:
        meters.callback()
    assert "ringmain[demo]" in caught.value.hint


def test_a_day_of_two_homes_arrives_and_is_reported(broker, tmp_path, capsys):
    tokens = tmp_path / "tokens.csv"
    tokens.write_text("id,token\nhome-a,x\nhome-b,y\n")
    report, progress = tmp_path / "report.json", tmp_path / "progress.json"
    window = ("--start", "2026-05-01T00:00:00Z", "--until", "2026-05-02T00:00:00Z", "--speed", 100_000)
    files = ("--tokens", tokens, "--report", report, "--progress", progress)
    assert simulate("--port", broker.server_address[1], *window, *files) == 0
    line = json.loads(capsys.readouterr().out)
    assert line == json.loads(report.read_bytes()) == json.loads(progress.read_bytes())
    assert (line["published"], line["acknowledged"], line["connections"], line["ended"]) == (96, 96, 2, "done")
    topics = {topic for topic, _ in broker.payloads}
    assert topics == {"devices/home-a/telemetry", "devices/home-b/telemetry"}
    for topic in topics:
        mine = [payload for name, payload in broker.payloads if name == topic]
        assert [each["ts"] for each in mine] == [1_777_593_600_000 + n * 1_800_000 for n in range(48)]
        total = sum(each["values"]["energy_wh"] for each in mine[:-1])
        assert mine[-1]["values"]["import_wh"] - mine[0]["values"]["import_wh"] == total > 0


def test_resumed_it_says_the_same_again(broker, tmp_path, capsys):
    window = ("--until", "2026-05-02T00:00:00Z", "--speed", 100_000, "--port", broker.server_address[1], "--count", 1)
    count = ("--registers-from", "2026-04-30T00:00:00Z")
    assert simulate("--start", "2026-05-01T00:00:00Z", *window, *count) == 0
    first = [payload for _, payload in broker.payloads]
    broker.payloads.clear()
    last = tmp_path / "last.csv"
    last.write_text("id,last\nmeter-1,2026-05-01T11:30:00Z\n")
    assert simulate("--resume-after", last, "--resume-overlap", 2, *window, *count) == 0
    assert [payload for _, payload in broker.payloads] == first[22:]
    capsys.readouterr()


def test_a_server_that_is_not_there_is_told_and_what_is_left_counted(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    options = ("--start", "2026-05-01T00:00:00Z", "--speed", 10_000, "--for", 1.1, "--drain-s", 0.1, "--count", 1)
    assert simulate("--port", port, *options) == 4
    said = capsys.readouterr()
    assert "meters: " in said.err
    assert "were not acknowledged" in said.err
    line = json.loads(said.out)
    assert line["ended"] == "not drained"
    assert line["behind"] > 0
