"""Every generated page of a checkout, by its path; what the generator writes and the test compares."""

import re
from collections.abc import Callable
from pathlib import Path

from ringmain.apps.docs import gateways, sparkplug
from ringmain.apps.docs.configuration import configuration_page
from ringmain.apps.docs.conformance import conformance_page
from ringmain.apps.docs.house import drawing
from ringmain.apps.docs.reference import reference_page
from ringmain.apps.docs.tables import with_tables

_INDEX_HEAD = """\
# Decisions

Each is a page: what was decided, why, what else was looked at, what follows. They are not changed later; a new one
says that it replaces an old one. This index is written by `make docs`.

"""


def pages(root: Path) -> dict[str, Callable[[], str]]:
    """Path below the checkout's root, and what has to stand there."""
    return {
        "docs/configuration.md": configuration_page,
        "docs/reference.md": reference_page,
        "docs/house.svg": lambda: drawing(root),
        "docs/architecture.md": lambda: with_tables((root / "docs/architecture.md").read_text(encoding="utf-8")),
        "docs/gateways.md": lambda: with_tables(
            (root / "docs/gateways.md").read_text(encoding="utf-8"), gateways.TABLES
        ),
        "docs/protocols/sparkplug.md": lambda: with_tables(
            (root / "docs/protocols/sparkplug.md").read_text(encoding="utf-8"), sparkplug.TABLES
        ),
        "docs/protocols/mqtt-conformance.md": lambda: conformance_page(root),
        "docs/adr/README.md": lambda: decisions(root / "docs/adr"),
    }


def decisions(folder: Path) -> str:
    """The index of the decision records, by number."""
    lines = []
    for page in sorted(folder.glob("[0-9]*.md")):
        title = re.sub(r"^[# ]*\d*[.:]?\s*", "", page.read_text(encoding="utf-8").splitlines()[0])
        lines.append(f"- [{int(page.name[:4])}. {title}]({page.name})\n")
    return _INDEX_HEAD + "".join(lines)
