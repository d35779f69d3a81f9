"""What the lab reads of an edge's report, and how it starts one."""

import os
import socket
import threading
from datetime import UTC, datetime

import msgspec
import pytest

from ringmain.apps.lab import edge
from ringmain.apps.lab.edge import SETTINGS, EdgePorts, ask, edge_options, join, status_of
from ringmain.apps.lab.processes import StepFailed
from ringmain.model.gateway import Count, GatewayReport, GatewaySettings, SettingsState


def report(**changes):
    books = {"forwarded": 70, "buffered": 30, "received": 105}
    lost = [Count("dropped", "no_room", 1), Count("rejected", "device_suspended", 2), Count("dead_letter", "", 2)]
    fields = {
        "version": "1",
        "at_ms": int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000),
        "started_ms": 0,
        "settings_version": 4,
        "settings_state": SettingsState.CONFIRMED,
        "settings_detail": "",
        "roster_version": 2,
        "meters_known": 1,
        "meters_connected": 1,
        "uplink": "up",
        "uplink_since_ms": 0,
        "uplink_connections": 3,
        "buffered_readings": 30,
        "buffered_bytes": 900,
        "file_bytes": 4096,
        "in_flight": 2,
        "backlog_readings": 0,
        "backlog_bytes": 0,
        "drain_s": None,
        "books": (*(Count(outcome, "", count) for outcome, count in books.items()), *lost),
    }
    return msgspec.json.encode(GatewayReport(**{**fields, **changes}))


def test_a_report_is_read_as_an_edge_says_it():
    status = status_of(report())
    assert (status.uplink_is_up, status.uplink_connections, status.in_flight) == (True, 3, 2)
    assert (status.forwarded, status.buffered, status.taken, status.given_up) == (70, 30, 100, 5)
    assert (status.settings_version, status.roster_version) == (4, 2)


def test_an_uplink_that_is_down_is_not_up():
    assert not status_of(report(uplink="down: connection refused")).uplink_is_up


@pytest.mark.parametrize("body", [b"", b"{}", b"no"])
def test_what_is_no_report_is_an_error(body):
    with pytest.raises(msgspec.DecodeError):
        status_of(body)


def test_nobody_answers_where_there_is_no_edge(tmp_path):
    assert ask(tmp_path / "nowhere") is None
    assert ask(tmp_path) is None


@pytest.mark.parametrize(("answer", "buffered"), [(report(), 30), (b"", None)])
def test_an_edge_is_asked_on_its_socket_however_deep_its_directory_lies(tmp_path, answer, buffered):
    directory = tmp_path / ("deep" * 20) / ("deeper" * 10)
    directory.mkdir(parents=True)
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY)  # a name of a socket has 108 bytes at most
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/edge.sock")
        os.close(folder)
        listener.listen()

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer)

        thread = threading.Thread(target=serve, name="edge")
        thread.start()
        status = ask(directory)
        thread.join()
    assert (status.buffered if status else None) == buffered


def test_the_settings_are_such_as_the_platform_takes():
    assert msgspec.convert(SETTINGS, GatewaySettings).answer_s == SETTINGS["answer_s"]


def test_options_name_directory_and_ports_for_the_loopback_alone(tmp_path):
    options = edge_options(tmp_path, ["--set", "log.level=debug"], EdgePorts(1, 2))
    assert options[:2] == ["--set", "log.level=debug"]
    assert set(options[3::2]) == {
        f"edge.dir={tmp_path}",
        "edge.host=127.0.0.1",
        "edge.port=1",
        "edge.tls_host=127.0.0.1",
        "edge.tls_port=2",
    }


class Played:
    """A family whose child ends with `code`; `argv` is what it was started with."""

    def __init__(self, code):
        self.code = code

    def start(self, name, module, arguments):
        self.argv = [name, module, *arguments]
        return self

    def wait(self, _):
        return self.code

    def failed(self, what):
        return StepFailed(what)


def test_joining_goes_to_the_relay_with_the_claim(tmp_path):
    family = Played(0)
    join(family, ["--set", "x=1"], 7, tmp_path / "ca.pem", "rmc_1")
    ca = str(tmp_path / "ca.pem")
    assert family.argv[:4] == ["edge-join", edge.MODULE, "--set", "x=1"]
    assert family.argv[4:] == ["edge", "join", "--platform", "127.0.0.1:7", "--ca", ca, "--claim", "rmc_1"]


def test_a_claim_that_is_refused_ends_the_run(tmp_path):
    with pytest.raises(StepFailed, match="could not join"):
        join(Played(5), [], 7, tmp_path, "rmc_1")
