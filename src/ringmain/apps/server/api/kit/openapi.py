"""OpenAPI 3.1 from the same declarations that are served: no route can be undocumented, no document outdated."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ringmain.apps.server.api.kit.declaration import NoParams, Route
from ringmain.apps.server.api.kit.problems import MEDIA, Problem
from ringmain.apps.server.api.words import describe_word
from ringmain.model.errors import ERRORS

_REF = "#/components/schemas/{name}"
_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token of the API. The tenant comes from it alone."},
    "claim": {"type": "http", "scheme": "bearer", "description": "A one-time claim, to be redeemed."},
    "device": {"type": "http", "scheme": "bearer", "description": "A device's own token, for its telemetry alone."},
}
_DECIMAL = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_HEADERS = {
    "RequestId": {"description": "Names this request in the platform's log.", "schema": {"type": "string"}},
    "Authenticate": {"description": "The scheme to sign in with (RFC 6750).", "schema": {"type": "string"}},
}


def document(routes: Sequence[Route], title: str, version: str, about: str) -> dict[str, Any]:
    """The whole document, in the order of the routes."""
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": about, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "headers": _HEADERS,
            "securitySchemes": _SCHEMES,
        },
    }


class _Schemas:
    """Schemas of every type the routes name, made in one go so that each has one component."""

    def __init__(self, routes: Sequence[Route]) -> None:
        kinds: list[Any] = [Problem]
        for route in routes:
            kinds += [route.answer, route.body, *(field.type for field in msgspec.structs.fields(route.params))]
        self._kinds = [kind for kind in kinds if kind not in {None, bytes}]
        made, self.components = msgspec.json.schema_components(
            self._kinds, schema_hook=describe_word, ref_template=_REF
        )
        self._made = made
        for component in self.components.values():
            for name, schema in component.get("properties", {}).items():
                component["properties"][name] = _with_decimals(schema)

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of a type, mostly a reference. `bytes` are any text."""
        if kind is bytes:
            return {"type": "string"}
        return self._made[self._kinds.index(kind)]


def _with_decimals(schema: dict[str, Any]) -> dict[str, Any]:
    """Decimals are told as strings and taken as strings or numbers; numbers are read digit by digit, not as floats."""
    if schema.get("format") == "decimal":
        return {**schema, "type": ["string", "number"], "pattern": _DECIMAL}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_with_decimals(one) for one in schema["anyOf"]]}
    return schema


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "tags": [route.tag],
        "responses": _successes(route, schemas) | _problems(route, schemas),
        "security": [] if route.is_public else [{route.scheme: []}],
    }
    if route.handler.__doc__:
        operation["description"] = " ".join(route.handler.__doc__.split())
    if route.params is not NoParams:
        operation["parameters"] = _parameters(route, schemas)
    if route.body is not None:
        content: dict[str, Any] = {"schema": schemas.of(route.body)}
        if route.body_example is not None:
            content["example"] = route.body_example
        operation["requestBody"] = {"required": True, "content": {route.body_media: content}}
    if route.role is not None and route.scheme == "token":
        operation["x-least-role"] = route.role.value
    return operation


def _parameters(route: Route, schemas: _Schemas) -> list[dict[str, Any]]:
    parameters = []
    for field in msgspec.structs.fields(route.params):
        schema = dict(schemas.of(field.type))
        possible = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
        if len(possible) == 1:  # absent is absent: a query string has no null
            schema = dict(possible[0])
        if field.default not in {msgspec.NODEFAULT, None}:
            schema["default"] = field.default
        in_path = field.encode_name in route.path_names
        parameter = {
            "name": field.encode_name,
            "in": "path" if in_path else "query",
            "required": in_path or field.required,
            "schema": schema,
        }
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        parameters.append(parameter)
    return parameters


def _successes(route: Route, schemas: _Schemas) -> dict[str, Any]:
    titles = {200: "Done.", 201: "Made.", 202: "Taken on.", 503: "Not ready."}
    headers = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    content = {route.media: {"schema": schemas.of(route.answer)}}
    return {
        str(status): {"description": titles[status], "headers": headers, "content": content}
        for status in route.statuses
    }


def _problems(route: Route, schemas: _Schemas) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in route.codes:
        by_status.setdefault(ERRORS[code].http_status, []).append(code)
    answers: dict[str, Any] = {}
    for status, codes in sorted(by_status.items()):
        if status in route.statuses:
            continue
        headers = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
        if status == 401:
            headers["WWW-Authenticate"] = {"$ref": "#/components/headers/Authenticate"}
        answers[str(status)] = {
            "description": "; ".join(f"{ERRORS[code].title} (`{code}`)" for code in codes) + ".",
            "headers": headers,
            "content": {MEDIA: {"schema": schemas.of(Problem)}},
        }
    return answers
