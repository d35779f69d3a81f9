"""Pages: `?limit&cursor` in, `{"items": [...], "next": "opaque" | null}` out.

A cursor is the key of the last item, packed; it holds no position, so that a page is right whatever was added since.
"""

import asyncio
import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from ringmain.apps.server.api.kit.problems import Rejected
from ringmain.apps.server.api.words import INT64_MAX

TURN_ROWS = 500
"""Rows made between two turns of the loop: some 3 ms, about one group commit."""

T = TypeVar("T")
R = TypeVar("R")
Key = tuple[int | str, ...]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Items in the order of their key; `next` is the cursor of the page behind, null at the end."""

    items: list[T]
    next: str | None


def write_cursor(key: Key) -> str:
    """The opaque cursor behind the item of this key."""
    return urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def read_cursor(cursor: str | None, *kinds: type) -> Key | None:
    """The key in a cursor that this route wrote. A cursor of another route, or a made-up one, is refused."""
    if cursor is None:
        return None
    try:
        packed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        key = msgspec.json.decode(packed, type=list[int | str])
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError, RecursionError):
        key = []
    if [type(part) for part in key] != list(kinds) or any(isinstance(p, int) and not 0 <= p <= INT64_MAX for p in key):
        raise Rejected(
            "unprocessable",
            "The cursor is not one that this route gave out.",
            "Leave `cursor` out to start at the first page, then pass `next` on as it came.",
            parameter="cursor",
        )
    return tuple(key)


def page_of(rows: Sequence[R], limit: int, key: Callable[[R], Key], item: Callable[[R], T]) -> Page[T]:
    """A page of the first `limit` of `rows`, which were asked for with one row more than the limit."""
    shown = rows[:limit]
    return Page([item(row) for row in shown], write_cursor(key(shown[-1])) if len(rows) > limit else None)


async def long_page_of(rows: Sequence[R], limit: int, key: Callable[[R], Key], item: Callable[[R], T]) -> Page[T]:
    """`page_of` for thousands of rows: others get their turn in between, because devices wait on the same loop."""
    items: list[T] = []
    for start in range(0, min(limit, len(rows)), TURN_ROWS):
        items += [item(row) for row in rows[start : min(start + TURN_ROWS, limit)]]
        await asyncio.sleep(0)
    return Page(items, write_cursor(key(rows[limit - 1])) if len(rows) > limit else None)
