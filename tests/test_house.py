"""What linters cannot see: the shape of the house, and documentation that agrees with it.

A limit that a file may exceed is listed here with the reason; everything else keeps it.
"""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from ringmain.apps.docs.pages import pages
from ringmain.apps.docs.tables import TABLES, marked

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "ringmain"
MODULES = sorted(path for path in SRC.rglob("*.py"))

FUNCTION_LINES_MAX = 70
LONGER_FUNCTIONS = {
    "apps/server/api/routes/documents.py:routes_of": "a table of routes with their handlers, one kind of document",
}

MODULE_LINES_MAX = 250
LONGER_MODULES = {
    "protocols/mqtt/machine.py": "the server's side of one specification: one state, read from top to bottom",
    "adapters/embedded/queue.py": "the writer's thread and its callers share one condition and must be read together",
    "apps/server/compose.py": "the wiring of every room, each once",
    "adapters/embedded/buffer.py": "the methods of one port over one index and one file, which change together",
    "gateway/mqtt_connection.py": "one connection from CONNECT to its end; what stands alone is in files beside it",
    "gateway/broker/service.py": "what is durable and what follows from it, decided in one place for all that is kept",
    "gateway/broker/session.py": "one session and its record: what moves in memory moves on disk",
    "protocols/mqtt/packets.py": "a codec table: every packet that a server reads",
    "apps/config.py": "every key with its limits and its words, each once",
    "apps/edge/compose.py": "the wiring of every room, each once",
}

WITHOUT_MODULE = {
    "protocols/mqtt/test_vectors.py": "one table of bytes for every packet, read and written",
    "apps/server/api/test_docs.py": "compares docs/api.md with the routes",
    "protocols/mqtt/test_mosquitto_sequences.py": "plays another broker's sequences against the whole machine",
    "apps/lab/test_command.py": "the command in apps/cli/lab.py, beside the tests of what it starts",
    "metering/test_tariff_docs.py": "compares documentation and samples with the tariff reader",
}

VAGUE_NAMES = {"manager", "helper", "helpers", "util", "utils", "misc", "common"}


def relative(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


@cache
@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_functions_fit_on_a_screen() -> None:
    long = {
        f"{relative(path)}:{node.name}": length(node)
        for path in MODULES
        for node in functions(path)
        if length(node) > FUNCTION_LINES_MAX
    }
    assert {name: count for name, count in long.items() if name not in LONGER_FUNCTIONS} == {}
    assert set(LONGER_FUNCTIONS) <= set(long), "a listed function is short again: take it off the list"


def test_modules_can_be_read_at_once() -> None:
    long = {relative(path): lines(path) for path in MODULES if lines(path) > MODULE_LINES_MAX}
    assert {name: count for name, count in long.items() if name not in LONGER_MODULES} == {}
    assert set(LONGER_MODULES) <= set(long), "a listed module is short again: take it off the list"


def test_every_module_says_what_it_is() -> None:
    silent = [relative(path) for path in MODULES if not ast.get_docstring(tree(path))]
    assert silent == []


def test_names_say_something() -> None:
    assert [relative(path) for path in MODULES if VAGUE_NAMES & set(re.split(r"[_/.]", relative(path)))] == []


def test_homes_use_the_same_file_names() -> None:
    homes = {home: {path.name for path in (SRC / "adapters" / home).glob("*.py")} for home in ("embedded", "simulated")}
    assert homes["simulated"] - homes["embedded"] == set()
    assert len(homes["simulated"]) > 5


def test_every_port_has_two_homes() -> None:
    """A file of the port's own name in each, except where two ports share what they stand for."""
    shared = {"outcomes": "timeseries", "windows": "timeseries"}
    ports = {path.stem for path in (SRC / "ports").glob("*.py") if path.stem != "__init__"}
    for port in sorted(ports):
        for home in ("embedded", "simulated"):
            name = shared.get(port, port)
            assert (SRC / "adapters" / home / f"{name}.py").is_file(), f"{port} has no {home} home"


def test_unit_tests_mirror_modules() -> None:
    """`test_machine.py`, and `test_machine_properties.py` beside it, for `machine.py`; or the name of a package."""
    unit = ROOT / "tests" / "unit"
    strays = []
    for test in (path.relative_to(unit) for path in unit.rglob("test_*.py")):
        subject = test.stem.removeprefix("test_")
        names = [path.stem for path in (SRC / test.parent).glob("*") if path.stem != "__init__"]
        mirrored = any(subject == name or subject.startswith(f"{name}_") for name in names)
        if not mirrored and test.as_posix() not in WITHOUT_MODULE:
            strays.append(test.as_posix())
    assert strays == []


def test_tasks_are_kept() -> None:
    """A task that nobody keeps can be collected while it runs, and its error is lost (bpo-44665)."""
    loose = [
        f"{relative(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) in {"asyncio.create_task", "asyncio.ensure_future", "loop.create_task"}
    ]
    assert loose == []


def test_nothing_is_left_to_do() -> None:
    marker = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert [relative(path) for path in MODULES if marker.search(path.read_text(encoding="utf-8"))] == []


def test_every_room_stands_on_a_floor() -> None:
    """The layers of the contract name every room that stands, so that none is outside the direction."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    named = set(re.findall(r"[a-z_]+", " ".join(layers)))
    assert {path.name for path in SRC.iterdir() if (path / "__init__.py").is_file()} <= named


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        return [path for folder in ("src", "tests", "docs", "bench") for path in (ROOT / folder).rglob("*.*")]
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    place = re.compile(rb"(?<![\w.$~})])/(?:home|root|Users|work|opt)/\w")
    allowed = {"tests/test_house.py", "tests/unit/apps/test_config.py"}
    found = [
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.is_file()
        and path.suffix in {".py", ".md", ".toml", ".txt", ".lock", ""}
        and place.search(path.read_bytes())
    ]
    assert [name for name in found if name not in allowed] == []


def test_the_lock_names_no_index_and_hashes_everything() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert "index-url" not in lock
    pins = re.findall(r"^\S+==\S+.*$", lock, re.MULTILINE)
    assert len(pins) > 40
    assert lock.count("--hash=sha256:") >= len(pins)
    assert re.search(r"^tzdata==", lock, re.MULTILINE)


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    asked = [need for need in asked if not need.startswith("ringmain[")]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    missing = [need for need in asked if not re.search(rf"^{re.split('[<>=]', need)[0]}==", lock, re.MULTILINE)]
    assert missing == []


def test_every_direct_dependency_is_imported_and_recorded() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in MODULES)
    decision = (ROOT / "docs/adr/0002-libraries.md").read_text(encoding="utf-8")
    used_by_others = {"tzdata": "zoneinfo reads it", "httptools": "uvicorn parses with it"}
    extras = project["optional-dependencies"]
    for need in [*project["dependencies"], *extras["platform"], *extras["demo"], *extras["report"]]:
        name = re.split("[<>=]", need)[0]
        assert f"| [{name}]" in decision, f"docs/adr/0002-libraries.md does not know {name}"
        if name not in used_by_others:
            module = {"pyyaml": "yaml"}.get(name, name.replace("-", "_"))
            assert re.search(rf"^\s*(?:import|from) {module}\b", sources, re.MULTILINE), f"nothing imports {name}"


@pytest.mark.parametrize("path", list(pages(ROOT)))
def test_generated_pages_are_as_the_code_says(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == pages(ROOT)[path](), "run `make docs` and look at the change"


def test_the_architecture_page_carries_every_table() -> None:
    assert set(marked((ROOT / "docs/architecture.md").read_text(encoding="utf-8"))) == set(TABLES)


def test_every_decision_is_numbered_once_and_linked() -> None:
    folder = ROOT / "docs" / "adr"
    records = sorted(path.name for path in folder.glob("*.md") if path.name != "README.md")
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [name for name in records if f"({name})" not in index] == []
    assert len({name[:4] for name in records}) == len(records)
    assert all(re.match(r"\d{4}-[a-z0-9-]+\.md", name) for name in records)


def test_links_between_pages_lead_somewhere() -> None:
    link = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in link.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []


def test_the_readme_says_how_to_begin() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for words in (
        "make run",
        "make test",
        "apt-get install",
        "docs/house.svg",
        "mosquitto_pub",
        "curl",
        "ringmain device add",
    ):
        assert words in readme, f"README.md does not mention {words}"


def test_every_allowed_skip_has_its_reason_above() -> None:
    previous = ""
    for line in (ROOT / "tests/allowed_skips.txt").read_text(encoding="utf-8").splitlines():
        assert not line or line.startswith("#") or previous, f"{line} stands without a comment above it"
        previous = line


def test_every_make_target_is_described() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r'@echo "make (\w+)', makefile))
    assert described >= {"run", "test", "check", "bench", "prove", "docs", "lock", "clean"}
    assert described <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
