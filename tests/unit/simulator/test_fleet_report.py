"""The report and the file that carries it."""

import json

import msgspec

from ringmain.simulator.fleet_report import FleetReport, write_progress


def report(**changes):
    numbers = {
        field: 0 for field in FleetReport.__struct_fields__ if field not in ("virtual", "real_time", "ended", "trouble")
    }
    return FleetReport(**{**numbers, "virtual": "2026-01-01T00:00:00Z", "real_time": True, **changes})


def test_the_file_is_replaced_as_a_whole_and_leaves_no_draft(tmp_path):
    path = tmp_path / "progress.json"
    before = None
    for published in (1, 2):
        write_progress(path, report(published=published))
        assert json.loads(path.read_bytes())["published"] == published
        inode = path.stat().st_ino
        assert inode != before
        before = inode
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_file_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_progress(None, report())
    assert list(tmp_path.iterdir()) == []


def test_supervisors_can_read_it_back(tmp_path):
    path = tmp_path / "progress.json"
    written = report(acknowledged=7, trouble="none")
    write_progress(path, written)
    assert msgspec.json.decode(path.read_bytes(), type=FleetReport) == written
