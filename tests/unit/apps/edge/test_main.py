"""The start of the edge: what it can do without does not end it."""

import errno
import logging
from pathlib import Path

import msgspec

from ringmain.apps.edge.main import _write_ports

PORTS = {"mqtt": 1883, "mqtts": 8883}


def test_the_ports_are_written_whole(tmp_path):
    path = tmp_path / "ports.json"
    _write_ports(path, {"mqtt": 1, "mqtts": 2})
    _write_ports(path, PORTS)
    assert msgspec.json.decode(path.read_bytes()) == PORTS
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_without_room_does_not_end_the_start_and_nothing_untrue_is_left(tmp_path, monkeypatch, caplog):
    path = tmp_path / "ports.json"
    _write_ports(path, {"mqtt": 1, "mqtts": 2})

    def write_bytes(self, _):
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with caplog.at_level(logging.WARNING):
        _write_ports(path, PORTS)
    assert "No space left" in caplog.text
    assert list(tmp_path.iterdir()) == []
