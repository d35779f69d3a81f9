"""Paths and templates of decoders: how a value is found in a payload, and how its channel gets its name. Pure.

A path is keys with dots between them, `ENERGY.Power`; a list's places are its keys, `rxInfo.0.rssi`. One `{name}` in a
key stands for anything there, and the template of the channel can use it: `switch:{i}.apower` is `power_{i}_w`. In a
template, `{3}` is the fourth level of the topic.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from ringmain.gateway.translate.samples import PayloadRefused

DEPTH_MAX = 8
"""Keys on the way to a value: a full status of Shelly has 5."""

LEAVES_MAX = 2_000
"""Values of one payload: the largest that devices are known to send have some 300."""

_CAPTURE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_SLOT = re.compile(r"\{([a-z0-9_]+)\}")
_BRACE = re.compile(r"[{}]")


class DecoderError(ValueError):
    """A decoder that can not be used; the text says which, where and why."""


class Path:
    """A compiled path."""

    __slots__ = ("_keys", "names")

    def __init__(self, text: str) -> None:
        keys = text.split(".")
        if not text or "" in keys or len(keys) > DEPTH_MAX:
            raise DecoderError(f"{text!r} is no path: one to {DEPTH_MAX} keys with dots between them")
        self._keys = [_key(key) for key in keys]
        names = [name for key in keys for name in _CAPTURE.findall(key)]
        if len(set(names)) < len(names):
            raise DecoderError(f"{text!r} uses one name twice")
        self.names = frozenset(names)

    def __len__(self) -> int:
        return len(self._keys)

    def match(self, keys: Sequence[str]) -> dict[str, str] | None:
        """What the names stand for where the first `keys` are these; None where they are not."""
        if len(keys) < len(self._keys):
            return None
        found: dict[str, str] = {}
        for mine, key in zip(self._keys, keys, strict=False):
            if isinstance(mine, str):
                if mine != key:
                    return None
            elif matched := mine.fullmatch(key):
                found.update(matched.groupdict())
            else:
                return None
        return found

    def at(self, found: object) -> object:
        """The value there, None where there is none. For paths without names."""
        for key in self._keys:
            if isinstance(found, Mapping):
                found = found.get(key)
            elif isinstance(found, list) and isinstance(key, str) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                return None
        return found


class Template:
    """A compiled template."""

    __slots__ = ("slots", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.slots = frozenset(_SLOT.findall(text))
        if not text or _BRACE.search(_SLOT.sub("", text)):
            raise DecoderError(f"{text!r} is no template: text with {{names}} or {{levels}} in it")

    def fill(self, levels: Sequence[str], names: Mapping[str, str]) -> str:
        """The text, with levels of the topic and names of a path in their places."""
        return _SLOT.sub(lambda slot: levels[int(slot[1])] if slot[1].isdecimal() else names[slot[1]], self.text)

    def check(self, levels: int, names: frozenset[str]) -> None:
        """DecoderError where it names what will not be there: a level beyond, or a name that its path has not."""
        for slot in self.slots:
            if slot.isdecimal():
                if int(slot) >= levels:
                    raise DecoderError(f"{self.text!r}: the filter has no level {slot}; the first one is 0")
            elif slot not in names:
                raise DecoderError(f"{self.text!r}: its path has no {{{slot}}}")


def leaves(found: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every value of a payload that is no object and no list, with the keys that lead to it. PayloadRefused where it is
    too deep.
    """
    if not isinstance(found, dict | list):
        yield keys, found
        return
    if len(keys) >= DEPTH_MAX:
        raise PayloadRefused(f"nested more than {DEPTH_MAX} deep")
    items = found.items() if isinstance(found, dict) else enumerate(found)
    for key, value in items:
        yield from leaves(value, (*keys, str(key)))


def _key(text: str) -> str | re.Pattern[str]:
    captures = _CAPTURE.findall(text)
    if len(captures) > 1 or _BRACE.search(_CAPTURE.sub("", text)):
        raise DecoderError(f"{text!r}: a key has at most one {{name}} in it, of small letters")
    if not captures:
        return text
    before, after = text.split(f"{{{captures[0]}}}")
    return re.compile(f"{re.escape(before)}(?P<{captures[0]}>.+){re.escape(after)}", re.DOTALL)
