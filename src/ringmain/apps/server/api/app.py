"""The API as one ASGI app: every route of the table below, and the document that describes exactly those."""

from functools import cache
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.routing import Route as StarletteRoute

from ringmain.apps.server.api.auth import authenticator
from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import Call, Reply, Route
from ringmain.apps.server.api.kit.openapi import document
from ringmain.apps.server.api.kit.serving import nothing_there, starlette_routes
from ringmain.apps.server.api.routes import (
    analytics,
    bills,
    books,
    claims,
    devices,
    directory,
    documents,
    gateways,
    health,
    load,
    platform,
    readings,
    sessions,
    telemetry,
)

ABOUT = (
    "The management API of a Ringmain platform. Times are RFC 3339, energy is whole Wh, money decimal strings; spans"
    " are half-open; problems are RFC 9457 with a hint."
)


def routes(context: Context) -> tuple[Route, ...]:
    """Every operation that this context can serve, in the order of the document."""
    found = [
        *devices.ROUTES,
        *claims.ROUTES,
        *gateways.ROUTES,
        *sessions.ROUTES,
        *readings.ROUTES,
        *analytics.ROUTES,
        *load.ROUTES,
        *books.ROUTES,
        *directory.ROUTES,
        *documents.ROUTES,
        *bills.ROUTES,
        *platform.ROUTES,
        *health.ROUTES,
    ]
    if context.replay is not None:
        found.append(books.REPLAY)
    if context.tls_reload is not None:
        found.append(platform.TLS_RELOAD)
    if context.telemetry is not None:
        found.append(telemetry.TELEMETRY)
    return tuple(found)


def api(context: Context) -> Starlette:
    """The app. It starts nothing and holds no state but the context."""

    @cache  # made when it is first asked for: it takes longer than everything else of a start
    def described() -> bytes:
        return msgspec.json.encode(document(declared, "Ringmain", context.version, ABOUT))

    async def get_openapi(_: object, __: Call[msgspec.Struct, None]) -> Reply:
        return Reply(described())

    declared = (
        *routes(context),
        Route("GET", "/openapi.json", get_openapi, "This document", "Health", dict[str, Any], None),
    )
    paths = starlette_routes(
        context,
        [route for route in declared if route is not telemetry.TELEMETRY],
        authenticator(context.credentials, context.tokens),
    )
    if context.telemetry is not None:
        paths.append(StarletteRoute(telemetry.PATH, context.telemetry, methods=["POST"]))
    app = Starlette(routes=paths, exception_handlers={404: nothing_there, 405: nothing_there})
    app.router.redirect_slashes = False  # an address is what the document says, and a redirect would drop a body
    return app
