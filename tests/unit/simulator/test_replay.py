"""The meter process: its arguments, its one line of JSON and its exit codes."""

import json
import os
import signal
import socket
import ssl
import threading
import time
from datetime import UTC, datetime

import pytest

from ringmain.apps.server.certificates import new_ca
from ringmain.simulator import replay
from ringmain.simulator.progress import last_entry
from ringmain.simulator.publisher import Link


@pytest.fixture
def series(tmp_path):
    file = tmp_path / "series.csv"
    file.write_text("at_ms,energy_wh\n" + "".join(f"{at},{at % 7}\n" for at in range(300)))
    return file


@pytest.fixture
def broker():
    """Acknowledges everything; `rows` is what it was told, `connects` the CONNECT packets."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    broker = type("Broker", (), {"rows": [], "connects": [], "port": listener.getsockname()[1], "code": 0})()

    def packet(stream):
        head = stream.read(1)
        if not head:
            return None, b""
        length = shift = 0
        while True:
            byte = stream.read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return head[0], stream.read(length)

    def serve():
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            broker.connects.append(packet(stream)[1])
            stream.write(bytes((0x20, 2, 0, broker.code)))
            stream.flush()
            while True:
                head, body = packet(stream)
                if head is None or head == 0xE0:
                    return
                end = 2 + int.from_bytes(body[:2], "big")
                said = json.loads(body[end + 2 :])
                broker.rows += said if isinstance(said, list) else [said]
                broker.topic = body[2:end].decode()
                stream.write(b"\x40\x02" + body[end : end + 2])
                stream.flush()

    thread = threading.Thread(target=serve, name="broker")
    thread.start()
    yield broker
    if not broker.connects:
        socket.create_connection(("127.0.0.1", broker.port)).close()
    thread.join()
    listener.close()


def arguments(series, port, *more):
    named = [
        "--series",
        str(series),
        "--port",
        str(port),
        "--client-id",
        "m",
        "--user",
        "lab/m",
        "--topic",
        "telemetry",
    ]
    return [*named, *more]


def test_a_series_is_delivered_whole_and_in_order(series, broker, monkeypatch, capsys):
    monkeypatch.setenv(replay.TOKEN_VARIABLE, "secret")
    assert replay.main(arguments(series, broker.port, "--seed", "3")) == 0
    assert [(row["ts"], row["values"]) for row in broker.rows] == [(at, {"energy_wh": at % 7}) for at in range(300)]
    assert broker.topic == "telemetry"
    assert b"\x00\x05lab/m\x00\x06secret" in broker.connects[0]
    result = json.loads(capsys.readouterr().out)
    assert (result["rows"], result["resent"], result["connections"], result["trouble"]) == (300, 0, 1, "")
    assert result["messages"] == result["acknowledged"] > 0


@pytest.mark.slow
def test_a_meter_that_takes_its_time_is_told_to_hurry_and_keeps_a_diary(series, broker, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv(replay.TOKEN_VARIABLE, "secret")
    diary = tmp_path / "diary"

    def hurry():
        while not (last := last_entry(diary)) or not last.acknowledged:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=hurry, name="hurry")
    thread.start()
    pace = ("--pace-s", "30", "--drift-max", "0.3", "--late-places-max", "4", "--progress", str(diary))
    assert replay.main(arguments(series, broker.port, "--seed", "3", *pace)) == 0
    thread.join()
    said = [row["ts"] for row in broker.rows]
    assert sorted(said) == list(range(300))
    assert said != sorted(said)
    result = json.loads(capsys.readouterr().out)
    assert result["messages"] == result["acknowledged"] == last_entry(diary).acknowledged
    assert result["seconds"] < 25, "half of the pace it was given"


def test_a_refused_meter_says_why_on_both_streams(series, broker, monkeypatch, capsys):
    broker.code = 5
    monkeypatch.setenv(replay.TOKEN_VARIABLE, "wrong")
    assert replay.main(arguments(series, broker.port)) == 1
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["acknowledged"] == 0
    assert "not authorised" in result["trouble"]
    assert "not authorised" in err


def test_without_a_token_nothing_is_started(series, monkeypatch, capsys):
    monkeypatch.delenv(replay.TOKEN_VARIABLE, raising=False)
    assert replay.main(arguments(series, 1)) == 2
    assert replay.TOKEN_VARIABLE in capsys.readouterr().err


def test_a_broken_series_is_refused_with_its_line(tmp_path, monkeypatch, capsys):
    file = tmp_path / "series.csv"
    file.write_text("at_ms,energy_wh\n1,x\n")
    monkeypatch.setenv(replay.TOKEN_VARIABLE, "secret")
    assert replay.main(arguments(file, 1)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "line 2: energy_wh: 'x'" in err


def test_a_link_with_a_certificate_trusts_that_one_alone(tmp_path):
    assert Link("127.0.0.1", 1).context() is None
    with pytest.raises(FileNotFoundError):
        Link("127.0.0.1", 1, tmp_path / "ca.pem").context()


def test_a_link_with_a_certificate_checks_name_and_version(tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_bytes(new_ca(datetime.now(UTC)).cert)
    context = Link("127.0.0.1", 1, ca).context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1
