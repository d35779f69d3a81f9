"""Serving: one ASGI endpoint per path, which guards, binds, calls and answers as the declarations say.

The order is fixed: path, method, credential, role, parameters, body, handler; so that a stranger learns nothing from
how a request is wrong. Every fault inside ends here as a problem, once, with its request id in the log.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from ringmain.apps.server.api.kit.binding import bind_body, bind_params
from ringmain.apps.server.api.kit.declaration import NOBODY, RANKS, Call, Reply, Route
from ringmain.apps.server.api.kit.problems import Rejected, answer, problem_of
from ringmain.model.errors import Failed, RingmainError
from ringmain.ports.credentials import Holder

Authenticate = Callable[[str], Awaitable[Holder | None]]
"""From the value of the Authorization header to a user of the API; None where it proves none."""

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder(decimal_format=lambda amount: format(amount, "f")).encode


class Endpoint:
    """All methods of one path."""

    def __init__(self, context: object, routes: Sequence[Route], authenticate: Authenticate) -> None:
        self._context = context
        self._routes = {route.method: route for route in routes}
        self._authenticate = authenticate
        if "GET" in self._routes:
            self._routes["HEAD"] = self._routes["GET"]  # RFC 9110 §9.1; the server leaves the body out
        self.methods = sorted(self._routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        request_id = secrets.token_hex(8)
        try:
            response = await self._serve(request)
        except Rejected as error:
            response = answer(problem_of(error, request_id), error.headers)
        except Failed as error:
            _log.warning("request %s: %s: %s", request_id, error.code, error.detail)
            response = answer(problem_of(_untold(error), request_id), {})
        except RingmainError as error:
            response = answer(problem_of(error, request_id), {})
        except Exception:  # noqa: BLE001 - the task boundary of a request
            _log.exception("request %s: %s %s", request_id, request.method, request.url.path)
            response = answer(problem_of(_untold(Failed("internal", "")), request_id), {})
        response.headers["x-request-id"] = request_id
        await response(scope, receive, send)

    async def _serve(self, request: Request) -> Response:
        route = self._routes[request.method]
        caller = await self._guard(route, request)
        params = bind_params(route, request)
        body = await bind_body(route, request)
        bearer = _bearer(request) if route.role is None and not route.is_public else ""
        return respond(route, await route.handler(self._context, Call(caller, params, body, bearer)))

    async def _guard(self, route: Route, request: Request) -> Holder:
        if route.is_public:
            return NOBODY
        sent = request.headers.get("authorization", "")
        if route.role is None:
            if not _bearer(request):
                raise unproven(sent, "Send `Authorization: Bearer <claim>`.")
            return NOBODY
        caller = await self._authenticate(sent) if sent else None
        if caller is None or caller.role is None:
            raise unproven(
                sent,
                "Send `Authorization: Bearer <token>` with a token of the API; a device's token is for its telemetry.",
            )
        if RANKS[caller.role] < RANKS[route.role]:
            raise Rejected(
                "not_authorized",
                f"A token of role {caller.role.value} may not do this; nothing was done.",
                f"It takes the role {route.role.value}.",
            )
        return caller


def unproven(sent: str, hint: str) -> Rejected:
    """401: the token that was `sent`, if any, opens nothing here."""
    return Rejected(
        "bad_credentials",
        "The request carries no token that is valid here." if sent else "The request carries no token.",
        hint,
        headers={"www-authenticate": f'Bearer realm="ringmain"{", error=invalid_token" if sent else ""}'},
    )


def _bearer(request: Request) -> str:
    """The token of the Authorization header; empty where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _untold(error: Failed) -> Rejected:
    """What a peer is told of our own failures: paths and causes are for the log."""
    return Rejected(
        error.code,
        f"{error.error.title}: the platform failed; what had been stored before is kept.",
        "Try again; if it stays, look for the request id in the platform's log.",
    )


def respond(route: Route, result: object) -> Response:
    """The success of a route as HTTP."""
    reply = result if isinstance(result, Reply) else Reply(result)
    content = reply.body if isinstance(reply.body, bytes) else _encode(reply.body)
    headers = {"cache-control": "no-store", **reply.headers}
    return Response(content, reply.status or route.statuses[0], headers, reply.media or route.media)


def starlette_routes(context: object, routes: Sequence[Route], authenticate: Authenticate) -> list[StarletteRoute]:
    """One Starlette route per path, so that its 405 knows every method of the path."""
    paths: dict[str, list[Route]] = {}
    for route in routes:
        paths.setdefault(route.path, []).append(route)
    endpoints = {path: Endpoint(context, declared, authenticate) for path, declared in paths.items()}
    return [StarletteRoute(path, endpoint, methods=endpoint.methods) for path, endpoint in endpoints.items()]


async def nothing_there(request: Request, error: Exception) -> Response:
    """The answer where no path matches, or no method of a path: for Starlette's table of handlers."""
    request_id = secrets.token_hex(8)
    allowed = (getattr(error, "headers", None) or {}).get("Allow", "")
    if allowed:
        allowed = ", ".join(sorted(allowed.split(", ")))
        rejected = Rejected(
            "method_not_allowed",
            f"{request.method} is not possible here.",
            f"This address takes {allowed}.",
            headers={"allow": allowed},
        )
    else:
        rejected = Rejected(
            "not_found",
            f"There is nothing at {request.url.path}.",
            "The addresses are listed at / and described in /openapi.json.",
        )
    return answer(problem_of(rejected, request_id), {"x-request-id": request_id, **rejected.headers})
