"""The suite's own rules, tried on a suite of five lines: what is skipped, what fails, and where."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent

SUITE = """
import pytest

{mark}
def test_it():
    {body}
"""


def outcome(tmp_path: Path, mark: str = "", body: str = "pass", **environ: str) -> tuple[int, str]:
    for name in ("conftest.py", "allowed_skips.txt"):
        shutil.copy(HERE / name, tmp_path / name)
    (tmp_path / "test_it.py").write_text(SUITE.format(mark=mark, body=body))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    needs(*programs): as in pyproject\n")
    kept = {key: value for key, value in os.environ.items() if key not in {"CI", "RINGMAIN_REQUIRE_SERVICES"}}
    kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # plugins take longer to load than these suites to run
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env=kept | environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_without_skips_all_is_well(tmp_path: Path) -> None:
    assert outcome(tmp_path, CI="true")[0] == 0


@pytest.mark.parametrize(
    ("mark", "body"),
    [
        ("@pytest.mark.skip(reason='because')", "pass"),
        ("", "pytest.skip('because')"),
        ("@pytest.mark.xfail(reason='because')", "assert False"),
        ("", "pytest.importorskip('no_such_module', reason='because')"),
    ],
)
def test_an_unlisted_skip_fails_in_ci_alone(tmp_path: Path, mark: str, body: str) -> None:
    assert outcome(tmp_path, mark, body)[0] == 0
    code, told = outcome(tmp_path, mark, body, CI="true")
    assert code == 1
    assert "test_it: because" in told


def test_a_module_that_skips_itself_is_seen_too(tmp_path: Path) -> None:
    mark = "pytest.skip('because', allow_module_level=True)\n"
    code, told = outcome(tmp_path, mark, CI="true")
    assert code != 0
    assert "because" in told


def test_a_listed_skip_is_allowed(tmp_path: Path) -> None:
    assert outcome(tmp_path, "", "pytest.skip('needs root: mounts an image')", CI="true")[0] == 0


def test_a_missing_program_skips_or_fails(tmp_path: Path) -> None:
    mark = "@pytest.mark.needs('python3', 'no-such-program')"
    code, told = outcome(tmp_path, mark)
    assert code == 0
    assert "1 skipped" in told
    code, told = outcome(tmp_path, mark, RINGMAIN_REQUIRE_SERVICES="1")
    assert code == 1
    assert "needs no-such-program" in told


def test_a_program_that_is_there_is_no_reason(tmp_path: Path) -> None:
    assert "1 passed" in outcome(tmp_path, "@pytest.mark.needs('sh')", CI="true", RINGMAIN_REQUIRE_SERVICES="1")[1]
