"""What all tests share: programs of others that a test needs, and no skip without a listed reason.

`@pytest.mark.needs("mosquitto", "curl")` skips a test where a program is missing; with RINGMAIN_REQUIRE_SERVICES=1
it fails instead. `needs("root")` always skips: a right is nothing that can be installed.
"""

import atexit
import fnmatch
import gc
import os
import shutil
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

# `make check` takes a tenth of the examples: it is run at every change, and `make test` takes them all.
hypothesis.settings.register_profile("quick", max_examples=10)

os.environ["PATH"] += os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"

_REQUIRED = os.environ.get("RINGMAIN_REQUIRE_SERVICES") == "1"
_CI = os.environ.get("CI") == "true"
_ALLOWED = [
    line.strip()
    for line in (Path(__file__).parent / "allowed_skips.txt").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith("#")
]


def pytest_configure() -> None:
    """Seven thousand collected tests are not to be searched for garbage again and again: a third of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # or extensions take what was set aside for leaks
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if program == "root":
                if os.geteuid() != 0:
                    pytest.skip("needs root")
            elif shutil.which(program) is None:
                answer = pytest.fail if _REQUIRED else pytest.skip
                answer(f"needs {program}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _judge(report, getattr(report, "wasxfail", None))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _judge(report, None)
    return report


def _judge(report: pytest.TestReport | pytest.CollectReport, xfail: str | None) -> None:
    """In CI a skip that is not listed is a failure; here, where it happens, so that every way of running sees it."""
    if not report.skipped or not _CI:
        return
    reason = xfail
    if reason is None and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
    if not any(fnmatch.fnmatchcase(reason or "", pattern) for pattern in _ALLOWED):
        report.outcome = "failed"
        report.longrepr = f"a skip that tests/allowed_skips.txt does not list: {report.nodeid}: {reason}"
        if hasattr(report, "wasxfail"):
            del report.wasxfail


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No RINGMAIN_ variable of whoever runs the tests reaches the code under test."""
    for name in list(os.environ):
        if name.startswith("RINGMAIN_"):
            monkeypatch.delenv(name)
