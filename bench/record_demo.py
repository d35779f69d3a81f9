"""A recording of the demo for the README: the real command in a real terminal, with keys pressed at fixed times.

    .venv/bin/python bench/record_demo.py            # docs/pictures/demo.cast and docs/pictures/demo.svg
    .venv/bin/python bench/record_demo.py --frames DIR   # in addition every frame of the SVG by itself, to look at

The demo redraws its whole screen from the upper left corner each time, so the bytes between two such moves are a
frame. The asciicast has some of them, as the lines that changed; the SVG has fewer, drawn from the same bytes.
"""

import argparse
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

from record_svg import Frame, animated, still

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
COLUMNS, ROWS = 110, 34
HOME, OTHER_SCREEN, SHOWN_AGAIN = b"\x1b[H", b"\x1b[?1049h", b"\x1b[?1049l"

KEYS = ((30.0, "c"), (40.0, "c"), (47.0, "p"), (60.0, "e"), (72.0, "q"))
"""Seconds after the first frame: cut, mend, kill the platform, kill the edge, end."""

CAST_EVERY_S = 0.5
SVG_AT_S = (2, 6, 12, 18, 24, 29, 31, 34, 37, 39.5, 41, 43, 46, 47.8, 50, 53, 57, 60.6, 62.2, 65, 71)
SVG_FRAME_S = 1.7
END_S = 20.0


def record(directory: Path, keys: tuple[tuple[float, str], ...]) -> list[tuple[float, bytes]]:
    """Every piece of output with the seconds since the start."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(directory)
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
        env = {**kept, "PATH": path, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        os.execvpe("ringmain", ["ringmain", "demo"], env)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    began, first, heard, waiting = time.monotonic(), 0.0, [], list(keys)
    try:
        while True:
            now = time.monotonic()
            if first and waiting and now >= first + waiting[0][0]:
                os.write(terminal, waiting.pop(0)[1].encode())
            if select.select([terminal], [], [], 0.05)[0]:
                try:
                    piece = os.read(terminal, 1 << 16)
                except OSError:  # the other end is closed
                    break
                if not piece:
                    break
                heard.append((time.monotonic() - began, piece))
                if not first and OTHER_SCREEN in piece:
                    first = time.monotonic()
            if not waiting and now >= first + keys[-1][0] + END_S:
                os.kill(process, signal.SIGTERM)
    finally:
        os.close(terminal)
        _, status = os.waitpid(process, 0)
    if status:
        raise SystemExit(f"the demo ended with status {status}; nothing was written")
    return heard


def parts(heard: list[tuple[float, bytes]]) -> tuple[list[tuple[float, bytes]], list[tuple[float, bytes]], bytes]:
    """What was written before the view, the frames of the view, and what came after it."""
    whole = b"".join(piece for _, piece in heard)
    enter, leave = whole.index(OTHER_SCREEN), whole.rindex(SHOWN_AGAIN)
    before, frames, at = [], [], 0
    for second, piece in heard:
        if at < enter:
            before.append((second, piece[: max(0, enter - at)]))
        at += len(piece)
    starts = [at for at in _places(whole, HOME) if enter < at < leave]
    ends = [*starts[1:], leave]
    for start, end in zip(starts, ends, strict=True):
        body = whole[start + len(HOME) : end]
        if body.count(b"\n") >= ROWS - 1:
            frames.append((_when(heard, end), body))
    return before, frames, whole[leave + len(SHOWN_AGAIN) :]


def _places(whole: bytes, mark: bytes) -> list[int]:
    places, at = [], whole.find(mark)
    while at >= 0:
        places.append(at)
        at = whole.find(mark, at + 1)
    return places


def _when(heard: list[tuple[float, bytes]], place: int) -> float:
    at = 0
    for second, piece in heard:
        at += len(piece)
        if at >= place:
            return second
    return heard[-1][0]


def lines_of(body: bytes) -> list[str]:
    """The lines of a frame."""
    return body.decode(errors="replace").replace("\r", "").split("\n")[:ROWS]


def thinned(frames: list[tuple[float, bytes]], every_s: float) -> list[tuple[float, bytes]]:
    chosen: list[tuple[float, bytes]] = []
    for second, body in frames:
        if not chosen or second - chosen[-1][0] >= every_s:
            chosen.append((second, body))
    return chosen


def cast(before: list[tuple[float, bytes]], frames: list[tuple[float, bytes]], after: bytes) -> str:
    """An asciicast, version 2 (docs.asciinema.org/manual/asciicast/v2): of each frame the lines that changed."""
    title = "ringmain demo: cut the uplink, kill the platform, kill the edge, and nothing is lost"
    rows = [
        json.dumps({"version": 2, "width": COLUMNS, "height": ROWS, "title": title, "env": {"TERM": "xterm-256color"}})
    ]

    def event(second: float, text: str) -> None:
        rows.append(json.dumps([round(second, 2), "o", text], ensure_ascii=False))

    event(0.0, "$ ringmain demo\r\n")
    for second, piece in before:
        if piece:
            event(second, piece.decode(errors="replace"))
    event(frames[0][0], "\x1b[?1049h\x1b[?25l")
    known = [""] * ROWS
    for second, body in frames:
        lines = lines_of(body)
        changed = [f"\x1b[{row + 1};1H{line}" for row, line in enumerate(lines) if line != known[row]]
        if changed:
            event(second, "".join(changed))
        known = lines
    event(frames[-1][0] + 1.0, "\x1b[?1049l\x1b[?25h" + after.decode(errors="replace"))
    return "\n".join(rows) + "\n"


def main() -> None:
    """Record, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, help="write each frame of the SVG here as an SVG of its own")
    parser.add_argument("--to", type=Path, default=PICTURES, help="directory of the results")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        heard = record(Path(directory), KEYS)
    before, frames, after = parts(heard)
    chosen.to.mkdir(parents=True, exist_ok=True)
    (chosen.to / "demo.cast").write_text(cast(before, thinned(frames, CAST_EVERY_S), after), encoding="utf-8")
    first = frames[0][0]
    shown = [min(frames, key=lambda frame, at=at: abs(frame[0] - first - at)) for at in SVG_AT_S]
    drawn = [Frame.of(lines_of(body), COLUMNS) for _, body in shown]
    (chosen.to / "demo.svg").write_text(animated(drawn, COLUMNS, ROWS, SVG_FRAME_S), encoding="utf-8")
    if chosen.frames:
        chosen.frames.mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(drawn):
            (chosen.frames / f"{number:02d}.svg").write_text(still(frame, COLUMNS, ROWS), encoding="utf-8")
    for name in ("demo.cast", "demo.svg"):
        print(f"{chosen.to / name}: {(chosen.to / name).stat().st_size / 1000:,.0f} kB")
    print(f"{len(frames)} frames in {frames[-1][0] - first:.0f} s, the first after {first:.1f} s")


if __name__ == "__main__":
    main()
