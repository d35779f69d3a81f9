"""The drawing: floors from the contract, rooms and counts from the tree, well-formed, and nothing outside a box."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ringmain.apps.docs.house import drawing, floors

ROOT = Path(__file__).parents[4]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.importlinter.contracts]]\ntype = "forbidden"\n'
        '[[tool.importlinter.contracts]]\ntype = "layers"\n'
        'layers = ["apps", "(assessment)", "gateway | services", "model | protocols"]\n'
    )
    for module in (
        "apps/__init__.py",
        "apps/run.py",
        "gateway/mqtt.py",
        "gateway/translate/json.py",
        "model/time.py",
        "model/ids.py",
        "model/__init__.py",
        "protocols/mqtt/machine.py",
        "services/__init__.py",
    ):
        path = tmp_path / "src" / "ringmain" / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path


def test_floors(checkout: Path) -> None:
    seen = [[(room.name, room.modules, room.inside) for room in floor] for floor in floors(checkout)]
    assert seen == [
        [("apps", 1, ("run",))],
        [("gateway", 2, ("translate",))],
        [("protocols", 1, ("mqtt",)), ("model", 2, ("ids", "time"))],
    ], "empty rooms do not stand; the wire stands on the left"


def test_the_drawing_is_well_formed_and_complete(checkout: Path) -> None:
    svg = ET.fromstring(drawing(checkout))
    texts = [element.text or "" for element in svg.iter(f"{SVG}text")]
    assert {"apps · 1", "gateway · 2", "protocols · 1", "model · 2"} <= set(texts)
    assert any(text.startswith("6 modules") for text in texts)


def test_every_text_of_the_real_house_stays_in_its_box() -> None:
    """At 12 px a letter is 7 px wide at most on average; what is wider would run out of the box."""
    svg = ET.fromstring(drawing(ROOT))
    boxes = [
        (float(box.get("x")), float(box.get("y")), float(box.get("width")), float(box.get("height")))
        for box in svg.iter(f"{SVG}rect")
        if box.get("x")
    ]
    assert len(boxes) >= 8
    for text in svg.iter(f"{SVG}text"):
        if text.get("text-anchor") == "middle":
            continue
        x, y = float(text.get("x")), float(text.get("y"))
        width = len(text.text or "") * (8.5 if text.get("font-size") == "15" else 6.6)
        assert any(bx < x and x + width < bx + bw and by < y < by + bh for bx, by, bw, bh in boxes), text.text
