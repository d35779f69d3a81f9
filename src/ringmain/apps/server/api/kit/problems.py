"""Problems: every answer that is not a success, as RFC 9457 application/problem+json.

`type` is `urn:ringmain:problem:<code>`, stable, from the one error table. `detail` says what happened and what was
kept, `hint` what to do next; a body's error names its place as a JSON path. Nothing internal is ever shown.
"""

import re
from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from ringmain.model.errors import ERRORS, RingmainError

MEDIA = "application/problem+json"
TYPE = "urn:ringmain:problem:"
_PLACE = re.compile(r"\s*-? at `(?:key in )?`?(\$[^`]*)`\s*\Z")


class LineError(msgspec.Struct, frozen=True):
    """What is wrong with one field of one line of a file (its header is line 1)."""

    line: int
    field: str
    problem: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457 §3.1, with the members `hint`, `request_id`, and where it applies the place of the error."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str = ""
    hint: str = ""
    path: str = ""
    """JSON path into the body, such as `$.periods[1].price`."""
    parameter: str = ""
    """Name of the path or query parameter."""
    errors: tuple[LineError, ...] = ()
    """Everything wrong with a file, as far as it is told."""


class Rejected(Exception):
    """A request that cannot be served: a row of the error table, and where in the request the error lies."""

    def __init__(
        self,
        code: str,
        detail: str,
        hint: str = "",
        *,
        path: str = "",
        parameter: str = "",
        headers: Mapping[str, str] | None = None,
        errors: tuple[LineError, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.path = path
        self.parameter = parameter
        self.headers = headers or {}
        self.errors = errors


def place_of(error: Exception) -> tuple[str, str]:
    """What msgspec says, and the JSON path it says it of."""
    text = str(error)
    found = _PLACE.search(text)
    return (text[: found.start()], found.group(1)) if found else (text, "$")


def problem_of(error: Rejected | RingmainError, request_id: str) -> Problem:
    """The problem that a refusal or failure is answered with."""
    row = ERRORS[error.code]
    rejected = error if isinstance(error, Rejected) else None
    return Problem(
        type=TYPE + row.code,
        title=row.title,
        status=row.http_status,
        detail=printable(error.detail),
        request_id=request_id,
        hint=printable(error.hint),
        path=printable(rejected.path) if rejected else "",
        parameter=printable(rejected.parameter) if rejected else "",
        errors=rejected.errors if rejected else (),
    )


def printable(text: str) -> str:
    """`text` without what UTF-8 cannot carry: details quote what the peer sent."""
    return text.encode("utf-8", "replace").decode("utf-8")


def answer(problem: Problem, headers: Mapping[str, str]) -> Response:
    """The HTTP answer. A problem is never cached."""
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        headers={"cache-control": "no-store", **headers},
        media_type=MEDIA,
    )
