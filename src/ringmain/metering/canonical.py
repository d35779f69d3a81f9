"""Canonical JSON of the vertical's documents: one noun, one sequence of bytes, so that a hash means something.

Object members are sorted by name, there is no white space, decimals are strings and stay as they were written,
instants are RFC 3339 in UTC. Nouns report what is wrong with them as faults that name the field.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

import msgspec

from ringmain.model.errors import Failed, Refused

_encoder = msgspec.json.Encoder(order="sorted", decimal_format="string")

NounT = TypeVar("NounT", bound=msgspec.Struct)


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with a document: where (`$.periods[1].price`) and what."""

    path: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"


class Noun(Protocol):
    """A document that can say what is wrong with it beyond its types."""

    def faults(self) -> Iterable[Fault]:
        """All faults, in the order of the document."""
        ...


def canonical(document: Any) -> bytes:
    """The canonical bytes of a struct or plain value."""
    return _encoder.encode(document)


def sha256_of(body: bytes) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def refuse_faults(document: Noun, hint: str) -> None:
    """`Refused("unprocessable")` with the first fault, and how many more there are."""
    faults = list(document.faults())
    if faults:
        more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
        raise Refused("unprocessable", f"{faults[0]}{more}", hint)


def read_back(body: bytes, noun: type[NounT]) -> NounT:
    """A document as the ledger kept it. It was checked when it was written, so damage is our fault."""
    try:
        return msgspec.json.decode(body, type=noun)
    except msgspec.DecodeError as error:
        raise Failed(
            "internal",
            f"a stored {noun.__name__} cannot be read: {error}; it was left as it is",
            "Put the document again; a newer version of the platform may have written it.",
        ) from error
