"""Plain values: a number as text, and nothing else."""

import re

from ringmain.gateway.translate.samples import PayloadRefused

VALUE_LENGTH_MAX = 64
"""Characters of a plain value: a double has at most 24, and who pads it pads it less."""

_VALUE = re.compile(r"[+-]?(\d+)(\.\d*)?([eE][+-]?\d{1,3})?\Z", re.ASCII)
_WORDS = {"true": 1, "false": 0}


def value_of(text: bytes) -> int | float:
    """The number that a plain value is; `true` and `false` are 1 and 0. PayloadRefused where it is none,
    UnicodeDecodeError where it is no text.
    """
    if len(text) > VALUE_LENGTH_MAX:
        raise PayloadRefused(f"a plain value of {len(text)} bytes, at most {VALUE_LENGTH_MAX}")
    word = text.decode().strip()
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    found = _VALUE.match(word)
    if not found:
        raise PayloadRefused(f"{word[:40]!r} is no number")
    return int(word) if found[2] is None and found[3] is None else float(word)
