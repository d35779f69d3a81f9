"""The document: what is declared is what is described, in the words of OpenAPI 3.1."""

from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest

from ringmain.apps.server.api.kit.declaration import NoParams, Route
from ringmain.apps.server.api.kit.openapi import document
from ringmain.apps.server.api.paging import Page
from ringmain.apps.server.api.words import Limit, Moment, Name
from ringmain.ports.credentials import Role


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name
    from_: Moment | None = msgspec.field(default=None, name="from")
    limit: Limit = 100
    to: Moment | None = None


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A thing."""

    price: Decimal
    discount: Decimal | None = None
    title: Annotated[str, msgspec.Meta(max_length=3)] = ""


async def put_thing(context: object, call: Any) -> object:
    """How it
    is put.
    """


async def get_thing(context: object, call: Any) -> object: ...


ROUTES = (
    Route(
        "PUT",
        "/things/{id}",
        put_thing,
        "Put a thing",
        "Things",
        Page[Thing],
        Role.ADMIN,
        Query,
        Thing,
        (200, 201),
        ("not_found",),
    ),
    Route("GET", "/things", get_thing, "Things", "Things", bytes, None, media="text/plain"),
    Route("POST", "/door", put_thing, "Door", "Door", Thing, body=msgspec.Raw, scheme="device"),
)


@pytest.fixture
def described() -> dict[str, Any]:
    made = document(ROUTES, "T", "1", "About.")
    return msgspec.json.decode(msgspec.json.encode(made))  # it must be JSON, whatever the defaults are


def operation(described: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    return described["paths"][path][method]


def test_each_route_is_one_operation(described):
    assert described["openapi"] == "3.1.0"
    assert {path: set(item) for path, item in described["paths"].items()} == {
        "/things/{id}": {"put"},
        "/things": {"get"},
        "/door": {"post"},
    }
    put = operation(described, "put", "/things/{id}")
    assert (put["operationId"], put["description"], put["x-least-role"]) == ("put_thing", "How it is put.", "admin")


def test_parameters_lie_in_the_path_or_the_query_and_know_no_null(described):
    parameters = {one["name"]: one for one in operation(described, "put", "/things/{id}")["parameters"]}
    assert {name: (one["in"], one["required"]) for name, one in parameters.items()} == {
        "id": ("path", True),
        "from": ("query", False),
        "limit": ("query", False),
        "to": ("query", False),
    }
    assert parameters["from"]["schema"] == {"type": "string", "format": "date-time"}
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert "description" in parameters["limit"]
    assert "parameters" not in operation(described, "get", "/things")


def test_answers_and_bodies_are_the_structs(described):
    put = operation(described, "put", "/things/{id}")
    assert put["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert set(put["responses"]) == {"200", "201", "400", "401", "403", "404", "413", "415", "500", "503"}
    assert put["responses"]["404"]["content"]["application/problem+json"]["schema"] == {
        "$ref": "#/components/schemas/Problem"
    }
    assert "`not_found`" in put["responses"]["404"]["description"]
    assert "WWW-Authenticate" in put["responses"]["401"]["headers"]
    text = operation(described, "get", "/things")["responses"]["200"]["content"]
    assert text == {"text/plain": {"schema": {"type": "string"}}}


def test_decimals_are_strings_or_numbers(described):
    properties = described["components"]["schemas"]["Thing"]["properties"]
    assert properties["price"]["type"] == ["string", "number"]
    assert properties["discount"]["anyOf"][0]["type"] == ["string", "number"]


def test_a_route_says_which_token_it_takes(described):
    assert operation(described, "put", "/things/{id}")["security"] == [{"token": []}]
    assert operation(described, "get", "/things")["security"] == []
    door = operation(described, "post", "/door")
    assert door["security"] == [{"device": []}]
    assert "x-least-role" not in door
    assert set(described["components"]["securitySchemes"]) == {"token", "claim", "device"}


def test_every_reference_is_resolved(described):
    text = msgspec.json.encode(described).decode()
    for reference in {part.split('"')[0] for part in text.split('"$ref":"#/')[1:]}:
        node: Any = described
        for step in reference.split("/"):
            node = node[step]


def test_a_route_without_parameters_or_body_cannot_be_an_invalid_request():
    assert "invalid_request" not in Route("GET", "/x", get_thing, "", "", bytes, params=NoParams).codes
