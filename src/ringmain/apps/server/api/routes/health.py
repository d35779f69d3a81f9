"""Health and the front page: what load balancers, Prometheus and a person with a browser ask, without a token."""

from html import escape

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import Call, Reply, Route

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Ringmain</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}
code{{background:#8882;padding:.1em .3em;border-radius:.2em}}:root{{color-scheme:light dark}}</style></head>
<body><h1>Ringmain {version}</h1>
<p>{state}</p>
<h2>Addresses</h2><ul>{addresses}</ul>
<h2>Here</h2><ul>
<li><a href="/openapi.json">/openapi.json</a>: the API, as OpenAPI 3.1</li>
<li><a href="/readyz">/readyz</a>, <a href="/livez">/livez</a>: is it well?</li>
<li><a href="/metrics">/metrics</a>: for Prometheus</li></ul>
<p>First device: <code>ringmain device --help</code></p></body></html>
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class Live(msgspec.Struct, frozen=True):
    """The event loop answers, which is all that this says."""

    status: str


class Ready(msgspec.Struct, frozen=True):
    """Whether readings are taken and stored; if not, why."""

    ready: bool
    reasons: list[str]


async def livez(_context: Context, _call: Call[msgspec.Struct, None]) -> Live:
    return Live("ok")


async def readyz(context: Context, _call: Call[msgspec.Struct, None]) -> Reply:
    """503 with the reasons while readings are not taken."""
    reasons = list(context.readiness())
    return Reply(Ready(not reasons, reasons), status=503 if reasons else 200)


async def metrics(context: Context, _call: Call[msgspec.Struct, None]) -> Reply:
    """In the text format of Prometheus. Labels are bounded: never a device, never a tenant."""
    return Reply(context.metrics())


async def front_page(context: Context, _call: Call[msgspec.Struct, None]) -> Reply:
    reasons = context.readiness()
    page = _PAGE.format(
        version=escape(context.version),
        state="Ready." if not reasons else f"Not ready: {escape('; '.join(reasons))}.",
        addresses="".join(f"<li>{escape(what)}: <code>{escape(at)}</code></li>" for what, at in context.addresses),
    )
    return Reply(page.encode(), headers={"content-security-policy": _POLICY})


_TAG = "Health"
ROUTES = (
    Route("GET", "/livez", livez, "Is the process alive?", _TAG, Live, None),
    Route("GET", "/readyz", readyz, "Is it ready for readings?", _TAG, Ready, None, statuses=(200, 503)),
    Route("GET", "/metrics", metrics, "Metrics", _TAG, bytes, None, media="text/plain; version=0.0.4"),
    Route("GET", "/", front_page, "A page for people", _TAG, bytes, None, media="text/html"),
)
