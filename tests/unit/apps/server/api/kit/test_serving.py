"""Serving: the order in which a request is judged, and that every way it can go wrong is a problem."""

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from ringmain.apps.server.api.kit.declaration import NOBODY, NoParams, Reply, Route
from ringmain.apps.server.api.kit.serving import nothing_there, starlette_routes
from ringmain.model.errors import Failed, Refused
from ringmain.model.ids import DeviceKey, TenantId
from ringmain.ports.credentials import Holder, Role


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(max_length=8)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100
    from_: str | None = msgspec.field(default=None, name="from")
    version: int | None = None


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    price: int
    periods: tuple[int, ...] = ()


HOLDERS = {
    "Bearer viewer": Holder(TenantId("t"), "v", role=Role.VIEWER),
    "Bearer admin": Holder(TenantId("t"), "a", role=Role.ADMIN),
    "Bearer device": Holder(TenantId("t"), "d", device=DeviceKey(1)),
}


async def authenticate(header: str) -> Holder | None:
    return HOLDERS.get(header)


def client_of(*routes: Route, context: object = None) -> httpx.AsyncClient:
    app = Starlette(
        routes=starlette_routes(context, routes, authenticate),
        exception_handlers={404: nothing_there, 405: nothing_there},
    )
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers={"authorization": "Bearer admin"})


def route_of(handler: Callable[..., Any], method: str = "POST", path: str = "/things/{id}", **more: Any) -> Route:
    more = {"params": Query, "body": Body, **more}
    return Route(method, path, handler, "A thing", "Things", dict[str, Any], **more)


async def echo(context: object, call: Any) -> object:
    return {"tenant": call.caller.tenant, "limit": call.params.limit, "from": call.params.from_}


def is_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["status"]) == (status, status)
    assert problem["type"] == f"urn:ringmain:problem:{code}"
    assert problem["detail"]
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem


async def test_no_token_is_401_with_the_scheme_before_anything_else_is_judged():
    async with client_of(route_of(echo)) as client:
        del client.headers["authorization"]
        response = await client.post("/things/much-too-long?bad=1", content=b"not json")
        is_problem(response, 401, "bad_credentials")
        assert response.headers["www-authenticate"] == 'Bearer realm="ringmain"'


@pytest.mark.parametrize("header", ["Bearer nobody", "Basic admin", "Bearer", "Bearer device"])
async def test_a_token_that_is_not_of_a_user_is_401(header):
    async with client_of(route_of(echo)) as client:
        response = await client.post("/things/1", headers={"authorization": header}, json={"price": 1})
        is_problem(response, 401, "bad_credentials")
        assert "invalid_token" in response.headers["www-authenticate"]


async def test_a_lower_role_is_403_before_parameters_are_judged():
    async with client_of(route_of(echo, role=Role.ADMIN)) as client:
        response = await client.post("/things/much-too-long", headers={"authorization": "Bearer viewer"})
        is_problem(response, 403, "not_authorized")


async def test_an_operators_route_is_not_for_an_admin():
    async with client_of(route_of(echo, role=Role.OPERATOR)) as client:
        is_problem(await client.post("/things/1", json={"price": 1}), 403, "not_authorized")


async def test_a_method_that_is_not_there_is_405_with_every_one_that_is():
    async with client_of(route_of(echo, "GET", body=None), route_of(echo)) as client:
        for method in ("DELETE", "PATCH", "PUT", "OPTIONS", "TRACE", "QUERY"):
            response = await client.request(method, "/things/1")
            is_problem(response, 405, "method_not_allowed")
            assert response.headers["allow"] == "GET, HEAD, POST"


async def test_an_address_that_is_not_there_is_a_problem_too():
    async with client_of(route_of(echo)) as client:
        for path in ("/", "/things", "/things/", "/things/1/2", "/things/%2F", "/%00"):
            is_problem(await client.post(path), 404, "not_found")


async def test_a_literal_path_does_not_hide_the_other_methods_of_a_pattern():
    async def literal(context: object, call: Any) -> object:
        return {"literal": True}

    routes = [route_of(literal, path="/things/import", params=NoParams, body=None), route_of(echo, "GET", body=None)]
    async with client_of(*routes) as client:
        assert (await client.post("/things/import")).json() == {"literal": True}
        assert (await client.get("/things/import")).json()["limit"] == 100


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("id=2", "id"),
        ("version=null", "version"),
        ("version=Null", "version"),
        ("limti=1", ""),
    ],
)
async def test_a_wrong_parameter_is_400_and_named(query, parameter):
    async with client_of(route_of(echo)) as client:
        response = await client.post(f"/things/1?{query}", json={"price": 1})
        assert is_problem(response, 400, "invalid_request").get("parameter", "") == parameter


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", "$"),
        (b"{", "$"),
        (b"\xff", "$"),
        (b'{"price": "1"}', "$.price"),
        (b'{"price": 1, "periods": [1, "x"]}', "$.periods[1]"),
        (b'{"price": 1, "other": 1}', "$"),
        (b'{"price": ' + b"9" * 5000 + b"}", "$.price"),
        (b'{"price": "\\ud800"}', "$"),
        (b'{"price": 1, "x": ' + b"[" * 100_000, "$"),
    ],
)
async def test_a_wrong_body_is_400_and_names_the_place(body, path):
    async with client_of(route_of(echo)) as client:
        response = await client.post("/things/1", content=body, headers={"content-type": "application/json"})
        assert is_problem(response, 400, "invalid_request")["path"] == path


class Bag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: int
    ratio: float = 0.0
    money: Decimal = Decimal(0)


async def told(context: object, call: Any) -> object:
    return {"count": call.body.count, "ratio": repr(call.body.ratio), "money": str(call.body.money)}


@pytest.mark.parametrize(
    ("body", "money"),
    [(b'{"count": 60.0, "ratio": 0.1}', "0"), (b'{"count": 6e1, "ratio": 0.1, "money": 0.1}', "0.1")],
)
async def test_a_whole_number_may_be_written_as_a_fraction(body, money):
    client = client_of(route_of(told, body=Bag))
    answer = await client.post("/things/x", content=body, headers={"content-type": "application/json"})
    assert answer.json() == {"count": 60, "ratio": "0.1", "money": money}


@pytest.mark.parametrize(
    "body",
    [b'{"count": 60.5}', b'{"count": 1e99}', b'{"count": 1e999999999}', b'{"count": 9007199254740994.0}',
     b'{"count": 1.0, "money": 0.12345678901234567891}', b'{"count": 1.0, "more": 1}', b'{"count": "1.0"}'],
)  # fmt: skip
async def test_and_nothing_else_may(body):
    client = client_of(route_of(told, body=Bag))
    answer = await client.post("/things/x", content=body, headers={"content-type": "application/json"})
    is_problem(answer, 400, "invalid_request")


@pytest.mark.parametrize("media", ["", "text/plain", "application/json+x", ";"])
async def test_a_body_of_another_type_is_415(media):
    async with client_of(route_of(echo)) as client:
        response = await client.post(
            "/things/1", content=b"{}", headers={"content-type": media} if media else {"x": "y"}
        )
        assert "Content-Type" in is_problem(response, 415, "unsupported_media")["hint"]


async def test_a_body_beyond_the_limit_is_413_declared_or_streamed():
    async def chunks():
        for _ in range(200):
            yield b" " * 16

    async with client_of(route_of(echo, body_bytes_max=1024)) as client:
        media = {"content-type": "application/json"}
        is_problem(await client.post("/things/1", content=b" " * 1025, headers=media), 413, "too_large")
        is_problem(await client.post("/things/1", content=chunks(), headers=media), 413, "too_large")
        for lie in ("9" * 30, "-1", "x"):
            response = await client.post("/things/1", content=b"{}", headers={**media, "content-length": lie})
            is_problem(response, 413, "too_large")
        assert (await client.post("/things/1", json={"price": 1})).status_code == 200


async def test_a_refusal_of_the_platform_is_its_row_of_the_table():
    async def refuse(context: object, call: Any) -> object:
        raise Refused("invalid_transition", "It is active.", "Suspend it.")

    async with client_of(route_of(refuse)) as client:
        problem = is_problem(await client.post("/things/1", json={"price": 1}), 409, "invalid_transition")
        assert (problem["detail"], problem["hint"]) == ("It is active.", "Suspend it.")


async def test_a_failure_of_the_platform_is_logged_with_its_request_id(caplog):
    async def fail(context: object, call: Any) -> object:
        raise Failed("storage_full", "/secret/path is full.")

    async with client_of(route_of(fail)) as client:
        problem = is_problem(await client.post("/things/1", json={"price": 1}), 507, "storage_full")
        assert "secret" not in str(problem)
        assert problem["request_id"] in caplog.text
        assert "/secret/path is full." in caplog.text


async def test_a_fault_is_500_and_tells_nothing_of_the_inside(caplog):
    async def fault(context: object, call: Any) -> object:
        raise KeyError("the secret")

    with caplog.at_level(logging.ERROR):
        async with client_of(route_of(fault)) as client:
            response = await client.post("/things/1", json={"price": 1})
    problem = is_problem(response, 500, "internal")
    assert "secret" not in response.text
    assert problem["request_id"] in caplog.text
    assert "the secret" in caplog.text


async def test_an_answer_may_have_its_own_status_type_and_headers():
    async def made(context: object, call: Any) -> object:
        return Reply(b"bytes", status=201, media="text/csv", headers={"location": "/x"})

    async with client_of(route_of(made)) as client:
        response = await client.post("/things/1?limit=7&from=a", json={"price": 1})
    assert (response.status_code, response.content) == (201, b"bytes")
    assert response.headers["content-type"].startswith("text/csv")
    assert (response.headers["location"], response.headers["cache-control"]) == ("/x", "no-store")
    assert len(response.headers["x-request-id"]) == 16


async def test_a_public_route_is_called_by_nobody_and_head_is_get():
    seen = []

    async def public(context: object, call: Any) -> object:
        seen.append((context, call.caller))
        return {}

    async with client_of(route_of(public, "GET", role=None, body=None), context="context") as client:
        del client.headers["authorization"]
        assert (await client.get("/things/1")).status_code == 200
        assert (await client.head("/things/1")).status_code == 200
    assert seen == [("context", NOBODY)] * 2
