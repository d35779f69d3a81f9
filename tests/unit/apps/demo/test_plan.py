"""The plan: when a street begins, which ports it has, and what it keeps."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.apps.demo import plan
from ringmain.apps.demo.plan import Kept, Options
from ringmain.model.errors import Failed
from ringmain.model.time import DAY_MS, utc

KEPT = Kept("tenant", "hello", 1_792_886_400_000, 200, 1)


def options(tmp_path: Path, **ports: int) -> Options:
    return Options(200, 3600.0, 1, tmp_path, tmp_path, tmp_path, (), **ports)


@given(st.integers(min_value=1_500_000_000_000, max_value=4_000_000_000_000))
def test_a_street_begins_on_a_sunday_long_enough_ago_and_not_longer(now_ms):
    first = plan.first_instant(now_ms)
    assert utc(first).strftime("%A %H:%M:%S.%f") == "Sunday 00:00:00.000000"
    assert 0 <= now_ms - first - plan.PAST_DAYS * DAY_MS < 8 * DAY_MS


def test_nothing_kept_is_none(tmp_path):
    assert plan.load(tmp_path) is None


def test_what_is_kept_comes_back(tmp_path):
    plan.keep(tmp_path, KEPT)
    assert plan.load(tmp_path) == KEPT
    assert (tmp_path / plan.FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"tenant_token":', b"\xff"])
def test_a_damaged_file_is_refused_with_its_name_and_stays_as_it_is(tmp_path, content):
    path = tmp_path / plan.FILE
    path.write_bytes(content)
    with pytest.raises(Failed) as caught:
        plan.load(tmp_path)
    assert str(path) in caught.value.detail
    assert "nothing was changed" in caught.value.detail
    assert path.read_bytes() == content


def test_a_file_that_can_not_be_read_is_told_so(tmp_path):
    (tmp_path / plan.FILE).mkdir()
    with pytest.raises(Failed, match="can not be read"):
        plan.load(tmp_path)


def test_ports_are_all_different_and_free(tmp_path):
    ports = plan.free_ports(options(tmp_path))
    numbers = [ports.mqtt, ports.mqtts, ports.http, ports.edge, ports.edge_tls]
    assert len(set(numbers)) == len(numbers)
    for number in numbers:
        with socket.socket() as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(("127.0.0.1", number))


@pytest.fixture
def taken(monkeypatch):
    """A port that somebody has, as the usual one of MQTT; the other usual ones are free."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        numbers = [held.getsockname()[1]]
        others = [socket.socket() for _ in range(4)]
        for each in others:
            each.bind(("127.0.0.1", 0))
        numbers += [each.getsockname()[1] for each in others]
        for each in others:
            each.close()
        monkeypatch.setattr(plan, "USUAL_PORTS", tuple(numbers))
        yield numbers


def test_usual_ports_are_taken_where_nobody_has_them(taken, tmp_path):
    ports = plan.free_ports(options(tmp_path))
    assert [ports.mqtts, ports.http, ports.edge, ports.edge_tls] == taken[1:]
    assert ports.mqtt not in taken


def test_ports_that_were_set_stay_and_are_given_to_nobody_else(taken, tmp_path):
    ports = plan.free_ports(options(tmp_path, mqtt_port=taken[0], edge_port=taken[2]))
    assert (ports.mqtt, ports.edge) == (taken[0], taken[2])
    assert len({ports.mqtt, ports.mqtts, ports.http, ports.edge, ports.edge_tls}) == 5
