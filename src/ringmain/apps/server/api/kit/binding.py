"""Binding: a raw request becomes the declared parameters and body, or a refusal that names the place.

400 (`invalid_request`) means that the schema forbids it. What a schema cannot say (an interval that ends before it
starts) is for the handlers to refuse as 422 (`unprocessable`).
"""

import contextlib
import math
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from ringmain.apps.server.api.kit.declaration import Route
from ringmain.apps.server.api.kit.problems import Rejected, place_of
from ringmain.apps.server.api.words import decode_word

EXACT_MAX = 2**53
"""Whole numbers up to here are the same as floats."""

_HINT = "The parameters and bodies of every route are described in /openapi.json."


def bind_params(route: Route, request: Request) -> msgspec.Struct:
    """Path and query parameters as the route's struct. Unknown and repeated ones are refused: a misspelt filter
    that is ignored answers a question that nobody asked.
    """
    raw: dict[str, str] = dict(request.path_params)
    for name, value in request.query_params.multi_items():
        if name in raw:
            raise Rejected(
                "invalid_request", f"Parameter {name} is given more than once.", "Give it once.", parameter=name
            )
        raw[name] = value
    try:
        params = msgspec.convert(raw, route.params, strict=False, dec_hook=decode_word)
    except msgspec.ValidationError as error:
        what, place = place_of(error)
        name = place.removeprefix("$").removeprefix(".")
        raise Rejected("invalid_request", f"{what}.", _HINT, parameter=name) from error
    for field in msgspec.structs.fields(route.params):
        if field.encode_name in raw and getattr(params, field.name) is None:  # msgspec takes the text `null` for None
            name = field.encode_name
            raise Rejected("invalid_request", f"{raw[name]!r} is no {name}.", "Leave it out.", parameter=name)
    return params


async def bind_body(route: Route, request: Request) -> Any:
    """The body as the route's type; `bytes` as they came. None where the route takes none."""
    if route.body is None:
        return None
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != route.body_media:
        raise Rejected(
            "unsupported_media",
            f"The body is declared as {sent or 'nothing'}; this route takes {route.body_media}.",
            f"Send the header `Content-Type: {route.body_media}`.",
        )
    body = await _read(request.stream(), request.headers.get("content-length", ""), route.body_bytes_max)
    if route.body is bytes:
        return body
    try:
        return _decoder(route.body).decode(body)
    except msgspec.ValidationError as error:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError, _Inexact):
            return msgspec.convert(_decode_whole(body), route.body, dec_hook=decode_word)
        what, place = place_of(error)
        raise Rejected(route.misfit, f"{what}.", _HINT, path=place) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("invalid_request", f"The body is not JSON: {error}.", _HINT, path="$") from error


@lru_cache(maxsize=128)
def _decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind, dec_hook=decode_word)


class _Inexact(Exception):
    """A number that is not what it would be read as."""


def _whole(text: str) -> int | float:
    """To JSON Schema `60.0` is an integer, and some libraries write it so. What has digits that a float has not is not
    guessed at: it may be money.
    """
    value = float(text)
    if Decimal(repr(value)) != Decimal(text):
        raise _Inexact
    return int(value) if abs(value) <= EXACT_MAX and value.is_integer() else value


_decode_whole = msgspec.json.Decoder(float_hook=_whole).decode


async def _read(chunks: AsyncIterator[bytes], declared: str, bytes_max: int) -> bytes:
    size = int(declared) if declared.isdecimal() and len(declared) < 20 else math.inf if declared else 0
    body = bytearray()
    try:
        if size <= bytes_max:
            async for chunk in chunks:
                body += chunk
                if len(body) > bytes_max:
                    break
            else:
                return bytes(body)
    except ClientDisconnect as error:
        raise Rejected("invalid_request", "The body ended early; nothing was done.", "Send it again.") from error
    raise Rejected(
        "too_large", f"The body is larger than {bytes_max} bytes; nothing was done.", "Send it in smaller parts."
    )
