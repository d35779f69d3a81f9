"""`docs/house.svg`: the house as it stands. Floors come from the import contract in `pyproject.toml`, rooms and their
counts from the source tree; whoever adds a room finds it in the drawing after `make docs`.
"""

import re
import textwrap
import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

import msgspec

WIRE = frozenset({"protocols", "transports", "gateway"})
"""The pillar that knows bytes and nothing of meters; the gateway is its bridge to the other."""

_COLOURS = {"wire": ("#dbe9f6", "#2b6cb0"), "meaning": ("#e3f1e1", "#2f7d4a"), "roof": ("#f6e7d2", "#a35c12")}
_WIDTH, _MARGIN, _GAP = 960, 24, 12
_ROOF, _LINE, _HEAD, _PAD = 84, 17, 44, 10


class Room(msgspec.Struct, frozen=True):
    """A room, its modules over all depths, and its sub-rooms (or modules, where it has none) by name."""

    name: str
    modules: int
    inside: tuple[str, ...]


def floors(root: Path) -> list[list[Room]]:
    """The floors of a checkout from the roof down, each with the rooms that have something in them."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rows = [[_room(root / "src" / "ringmain" / name) for name in re.findall(r"[a-z_]+", layer)] for layer in layers]
    standing = [[room for room in row if room.modules] for row in rows]
    return [sorted(row, key=lambda room: room.name not in WIRE) for row in standing if row]


def _room(path: Path) -> Room:
    modules = [module for module in path.rglob("*.py") if module.stem not in {"__init__", "__main__"}]
    folders = {module.relative_to(path).parts[0] for module in modules if module.parent != path}
    files = {module.stem for module in modules if module.parent == path}
    return Room(path.name, len(modules), tuple(sorted(folders) or sorted(files)))


def drawing(root: Path) -> str:
    """The SVG."""
    roof, *storeys = floors(root)
    parts: list[str] = []
    y = _MARGIN
    peak = f"{_WIDTH / 2:.0f},{y} {_WIDTH - _MARGIN},{y + _ROOF} {_MARGIN},{y + _ROOF}"
    fill, stroke = _COLOURS["roof"]
    parts.append(f'<polygon points="{peak}" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>')
    parts += _centred(_WIDTH / 2, y + 46, roof[0], stroke)
    y += _ROOF + _GAP
    for storey in storeys:
        width = (_WIDTH - 2 * _MARGIN - _GAP * (len(storey) - 1)) / len(storey)
        lines = {room.name: _wrapped(room.inside, width) for room in storey}
        height = _HEAD + _PAD + _LINE * max(len(text) for text in lines.values())
        for at, room in enumerate(storey):
            parts += _box(room, lines[room.name], _MARGIN + at * (width + _GAP), y, width, height)
        y += height + _GAP
    total = sum(room.modules for row in (roof, *storeys) for room in row)
    parts.append(
        f'<text x="{_WIDTH / 2:.0f}" y="{y + 10}" text-anchor="middle" font-size="12" fill="#555">'
        f"{total} modules; imports only go down; blue: the pillar of the wire, green: the pillar of meaning</text>"
    )
    height_all = y + _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height_all}" role="img"'
        f' font-family="system-ui, sans-serif"><title>The house: floors and rooms of Ringmain</title>\n'
        f'<rect width="{_WIDTH}" height="{height_all}" rx="10" fill="#fdfdfb"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _centred(x: float, y: float, room: Room, colour: str) -> list[str]:
    return [
        (
            f'<text x="{x:.0f}" y="{y}" text-anchor="middle" font-size="15" font-weight="600" fill="{colour}">'
            f"{room.name} · {room.modules}</text>"
        ),
        (
            f'<text x="{x:.0f}" y="{y + 20}" text-anchor="middle" font-size="12" fill="#333">'
            f"{escape(', '.join(room.inside))}</text>"
        ),
    ]


def _box(room: Room, lines: list[str], x: float, y: int, width: float, height: int) -> list[str]:
    fill, stroke = _COLOURS["wire" if room.name in WIRE else "meaning"]
    parts = [
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" rx="6" fill="{fill}" stroke="{stroke}"/>',
        (
            f'<text x="{x + 12:.1f}" y="{y + 25}" font-size="15" font-weight="600" fill="{stroke}">'
            f"{room.name} · {room.modules}</text>"
        ),
    ]
    parts += [
        f'<text x="{x + 12:.1f}" y="{y + _HEAD + _LINE * at}" font-size="12" fill="#333">{escape(line)}</text>'
        for at, line in enumerate(lines)
    ]
    return parts


def _wrapped(words: tuple[str, ...], width: float) -> list[str]:
    """Words on lines of a box; 6.6 px are the mean width of a letter at 12 px, with some air."""
    letters = int((width - 24) / 6.6)
    return textwrap.wrap(", ".join(words), letters, break_long_words=False, break_on_hyphens=False) or [""]
