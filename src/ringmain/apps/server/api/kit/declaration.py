"""What a route is: method, path, parameters, body, answer, role, summary and problems, declared in one place."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from ringmain.model.ids import TenantId
from ringmain.ports.credentials import Holder, Role

P = TypeVar("P", bound=msgspec.Struct)
B = TypeVar("B")

MIB = 1 << 20
BODY_BYTES_MAX = MIB
"""A management body. The largest one known, a tariff with a price for each half hour of a year, has 0.9 MB."""

NOBODY = Holder(TenantId(""), "")
"""Who calls a public route. No tenant can have that name, so nothing could be found in it."""

RANKS = {Role.VIEWER: 0, Role.ADMIN: 1, Role.OPERATOR: 2}


class NoParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of a route that takes none."""


@dataclass(frozen=True)
class Call(Generic[P, B]):
    """One request, bound: who asks, and what for. `caller` is a user of the API and never a device. `bearer` is the
    token itself where the route's handler judges it.
    """

    caller: Holder
    params: P
    body: B
    bearer: str = ""


@dataclass(frozen=True)
class Reply:
    """An answer that differs from the route's own status or media type, or carries headers."""

    body: object
    status: int | None = None
    media: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Any, Call[Any, Any]], Awaitable[object]]


@dataclass(frozen=True)
class Route:
    """One operation. `handler(context, call)` answers with an instance of `answer`, `bytes`, or a `Reply`.

    `role` is the least role that may call it; None makes it public, unless its `scheme` is `claim`: then the request
    carries a token that the handler judges. `statuses` are the successes it can answer with, the first being its own.
    `problems` are codes of the error table beyond those that every route has; `misfit` is the code for a body that is
    JSON and does not fit its type. `scheme` is the kind of token, by its name in the document; another app judges any
    but `token`.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    answer: Any
    role: Role | None = Role.VIEWER
    params: type[msgspec.Struct] = NoParams
    body: Any = None
    statuses: tuple[int, ...] = (200,)
    problems: tuple[str, ...] = ()
    media: str = "application/json"
    body_media: str = "application/json"
    body_bytes_max: int = BODY_BYTES_MAX
    body_example: Any = None
    scheme: str = "token"
    misfit: str = "invalid_request"

    @property
    def path_names(self) -> tuple[str, ...]:
        """Names of the parameters in the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def is_public(self) -> bool:
        """Whether it asks for no token at all."""
        return self.role is None and self.scheme != "claim"

    @property
    def operation_id(self) -> str:
        """The handler's name, which is unique over all routes."""
        return str(self.handler.__name__)

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code of the error table this route can answer with, in a fixed order."""
        codes = [*self.problems, "internal", "unavailable"]
        if self.scheme == "claim":
            codes += ["bad_credentials"]
        elif self.role is not None:
            codes += ["bad_credentials", "not_authorized"]
        if self.path_names or self.params is not NoParams or self.body is not None:
            codes += ["invalid_request"]
        if self.body is not None:
            codes += ["too_large", "unsupported_media"]
        return tuple(sorted(set(codes)))
