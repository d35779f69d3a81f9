"""`ringmain simulate meters` against the platform: a street is registered, speaks over TLS, stops, and goes on."""

import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.platform_process import PlatformProcess, ringmain

pytestmark = pytest.mark.slow

HOMES = 12
WAIT_S = 40.0


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    with PlatformProcess(tmp_path_factory.mktemp("street") / "data") as running:
        yield running


def command(platform: PlatformProcess, *options: str, status: int = 0) -> str:
    done = subprocess.run(
        ringmain(*options), capture_output=True, text=True, check=False, timeout=WAIT_S, env=platform.environment
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def street(platform: PlatformProcess, tokens: Path, *options: str) -> Any:
    trust = ["--ca", str(platform.ca), "--port", str(platform.ports.mqtts), "--tokens", str(tokens)]
    count = ["--registers-from", "2026-01-31T00:00:00Z", "--speed", "20000", "--pv", "0.5", "--reboot-every-h", "0"]
    return json.loads(command(platform, "simulate", "meters", *trust, *count, *options))


def test_a_street_is_registered_speaks_and_goes_on_where_it_stood(platform: PlatformProcess, tmp_path: Path) -> None:
    devices, tokens, last = tmp_path / "devices.csv", tmp_path / "tokens.csv", tmp_path / "last.csv"
    devices.write_text("id,profile\n" + "".join(f"home-{number},meter\n" for number in range(HOMES)))
    tokens.write_text(command(platform, "device", "import", str(devices)))

    first = street(platform, tokens, "--start", "2026-02-01T00:00:00Z", "--until", "2026-02-02T00:00:00Z")
    assert first["acknowledged"] == first["readings"] == HOMES * 48
    for number in range(HOMES):
        platform.readings(f"home-{number}", 48 * 3)

    # As a supervisor does it: the last stamps from the platform, and the two before them once more.
    rows = ["id,last\n"]
    for number in range(HOMES):
        latest = platform.get(f"/api/v1/devices/home-{number}/latest")["items"]
        rows.append(f"home-{number},{max(item['at'] for item in latest)}\n")
    last.write_text("".join(rows))
    again = [
        "--resume-after",
        str(last),
        "--resume-overlap",
        "2",
        "--until",
        "2026-02-03T00:00:00Z",
        "--payload",
        "list",
    ]
    second = street(platform, tokens, *again)
    assert second["readings"] == HOMES * 50

    duplicates = 0
    for number in range(HOMES):
        found = platform.readings(f"home-{number}", 96 * 3)
        energy = [value for _, channel, value in found if channel == "energy_wh"]
        register = [value for _, channel, value in found if channel == "import_wh"]
        assert len(energy) == len(register) == 96
        assert [after - before for before, after in itertools.pairwise(register)] == energy[:-1]
        duplicates += 2 * len({channel for _, channel, _ in found})
    assert platform.get("/api/v1/conflicts")["items"] == []
    tally = {item["outcome"]: item["count"] for item in platform.get("/api/v1/tally")["items"]}
    assert tally["duplicate"] == duplicates
    assert set(tally) == {"stored", "duplicate"}


def test_a_wrong_certificate_is_said_so(platform: PlatformProcess, tmp_path: Path) -> None:
    other, key, tokens = tmp_path / "other.pem", tmp_path / "key.pem", tmp_path / "tokens.csv"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*make, "-subj", "/CN=x", "-days", "1", "-keyout", key, "-out", other], check=True, capture_output=True
    )
    tokens.write_text("id,token\nhome-0,wrong\n")
    options = ["--ca", str(other), "--port", str(platform.ports.mqtts), "--tokens", str(tokens)]
    done = subprocess.run(
        ringmain(
            *("simulate", "meters", *options, "--every-s", "1", "--for", "3", "--drain-s", "0"),
            *("--drift-ppm", "0", "--spread", "0"),  # late in a day a slow clock's first interval ends seconds later
        ),
        capture_output=True, text=True, check=False, timeout=WAIT_S,
    )  # fmt: skip
    assert done.returncode == 4
    assert "certificate is not trusted" in done.stderr
