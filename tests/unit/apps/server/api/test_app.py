"""The whole surface at once: every route is described, guarded, and blind for another tenant."""

import pytest
from starlette.routing import Route as StarletteRoute
from tests.unit.apps.server.api.world import CSR, INSTALLATION, TARIFF, World, furnish, make_world

from ringmain.apps.server.api.app import api, routes
from ringmain.apps.server.api.kit.declaration import Route
from ringmain.ports.credentials import Role


async def no_app(scope, receive, send):
    raise AssertionError("not called")


async def all_routes() -> tuple[Route, ...]:
    return routes((await make_world(telemetry=no_app)).context)


async def test_the_document_describes_exactly_what_is_served():
    world = await make_world(telemetry=no_app)
    served = {
        (route.path, method)
        for route in api(world.context).routes
        if isinstance(route, StarletteRoute)
        for method in route.methods - {"HEAD"}
    }
    async with world.client(None) as client:
        described = (await client.get("/openapi.json")).json()
    assert served == {(path, method.upper()) for path, item in described["paths"].items() for method in item}
    assert ("/api/v1/telemetry", "POST") in served


async def test_operation_ids_are_unique():
    ids = [route.operation_id for route in await all_routes()]
    assert len(set(ids)) == len(ids)


async def test_what_cannot_be_done_is_not_there():
    world = await make_world(replay=None, telemetry=None)
    paths = {route.path for route in routes(world.context)}
    assert not paths & {"/api/v1/telemetry", "/api/v1/dead-letters/{id}/replay"}


async def test_reading_takes_a_viewer_and_writing_an_admin():
    for route in await all_routes():
        if route.path.startswith("/api/v1") and route.path not in {"/api/v1/telemetry", "/api/v1/claims/redeem"}:
            reads = route.method == "GET" or route.path.endswith("/preview")
            operator = route.path.startswith(("/api/v1/tenants", "/api/v1/platform"))
            assert route.role is (Role.OPERATOR if operator else Role.VIEWER if reads else Role.ADMIN), route.path


# What a request of each route needs beyond the names in its path, to be one that the owner of `acme` may make.
BODIES = {
    "register_device": {"id": "meter-2"},
    "put_site": {"zone": "Europe/London"},
    "put_profile": {"expected_interval_s": 60},
    "put_tariffs": TARIFF,
    "put_usage_points": {"id": "home"},
    "put_installations": INSTALLATION,
    "put_accounts": {"id": "smith", "usage_point": "home", "tariff": "flat"},
    "preview_bill": {"from": "2013-01-01", "to": "2013-01-03"},
    "issue_bill": {"from": "2013-01-01", "to": "2013-01-03"},
    "make_tenant": {"id": "third"},
    "make_claim": {},
    "redeem_claim": {},
    "issue_certificate": {"csr": CSR},
    "put_delegations": {"devices": ["meter-1"]},
    "put_gateway_settings": {"keep_alive_s": 30},
}
NAMES = {"devices": "meter-1", "sites": "main", "tariffs": "flat", "usage-points": "home", "installations": "home"}
NAMES |= {
    "accounts": "smith",
    "bills": "1",
    "dead-letters": "1",
    "tenants": "acme",
    "profiles": "meter",
    "certificates": "a1",
    "gateways": "gw-1",
    "delegations": "meter-1",
}
SPANS = {
    "list_windows": "?channel=energy_wh&size=1h&from=2013-01-01T00:00:00Z&to=2013-01-03T00:00:00Z",
    "get_analytics": "?channel=energy_wh&from=2013-01-01&to=2013-01-03",
}


def address_of(route: Route) -> str:
    steps = route.path.split("/")
    named = [NAMES[steps[at - 1]] if step.startswith("{") else step for at, step in enumerate(steps)]
    return "/".join(named) + SPANS.get(route.operation_id, "")


def request_of(route: Route) -> dict:
    if route.body is bytes:
        return {"content": "id,profile\nmeter-9,meter\n", "headers": {"content-type": "text/csv"}}
    return {} if route.body is None else {"json": BODIES[route.operation_id]}


async def guarded() -> list[Route]:
    return [route for route in await all_routes() if route.role is not None and route.scheme == "token"]


async def test_every_request_of_the_matrix_is_possible_for_its_owner():
    """Or the refusals below would prove nothing. Decommissioning comes last, because nothing follows it."""
    world = await billed_world()
    first_state = {"activate_device": "suspend", "issue_certificate": "activate"}
    async with world.client("root") as client:
        for route in sorted(await guarded(), key=lambda route: route.operation_id == "decommission_device"):
            if state := first_state.get(route.operation_id):
                await client.post(f"/api/v1/devices/meter-1/{state}")
            response = await client.request(route.method, address_of(route), **request_of(route))
            if route.operation_id in {"provision_device", "make_claim"}:
                assert response.status_code == 409, "it is active already"
            else:
                assert response.is_success, (route.operation_id, response.text)


async def test_nobody_gets_in_without_a_token_of_the_api():
    world = await make_world()
    await furnish(world)
    _, token = await world.context.lifecycle.rotate_token("acme", "meter-1")
    for bearer in (None, "nobody", "", token, "admin\x7f"):
        async with world.client(bearer) as client:
            redeeming = [route for route in await all_routes() if route.scheme == "claim"]
            for route in [*await guarded(), *redeeming]:
                response = await client.request(route.method, address_of(route), **request_of(route))
                assert response.status_code == 401, (route.operation_id, bearer)
                assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.slow
async def test_another_tenant_sees_and_changes_nothing_of_ours():
    """Every route, with the names of our things and the token of another tenant's admin."""
    untouched = await billed_world()
    async with untouched.client() as ours, untouched.client("rival") as theirs:
        before = await everything(ours)
        for route in await guarded():
            if route.method == "GET":
                expect_nothing(route, await theirs.get(address_of(route)))
    for route in await guarded():
        if route.method != "GET":
            world = await billed_world()
            async with world.client() as ours, world.client("rival") as theirs:
                response = await theirs.request(route.method, address_of(route), **request_of(route))
                expect_nothing(route, response)
                assert await everything(ours) == before, route.operation_id
            assert not world.replayed


async def billed_world() -> World:
    world = await make_world()
    await furnish(world)
    async with world.client() as ours:
        assert (await ours.post("/api/v1/accounts/smith/bills", json=BODIES["issue_bill"])).status_code == 201
    return world


def expect_nothing(route: Route, response) -> None:
    """404 for our things, 403 for the platform's, an own and empty answer where no thing of ours is named."""
    if route.role is Role.OPERATOR:
        assert response.status_code == 403, route.operation_id
    elif response.is_success:
        for secret in ("meter-1", "smith", "home", "flat", "undecodable", "Europe/London"):
            shown = secret in response.text and route.method == "GET"
            assert not shown, (route.operation_id, response.text)
        if route.operation_id == "get_tally":
            assert response.json() == {"received": 0, "accounted": 0, "items": []}
        assert route.method == "GET" or route.operation_id in OWN_MADE, route.operation_id
    else:
        expected = {422} if route.operation_id in REFERRING else {404}
        assert response.status_code in expected, (route.operation_id, response.text)


OWN_MADE = {
    "register_device", "import_devices", "put_site", "put_profile", "put_tariffs", "put_usage_points",
}  # fmt: skip
"""Routes that make a thing of the caller's own, whatever name it bears at others."""
REFERRING = {"put_accounts", "put_installations"}
"""Routes whose body refers to things that the caller does not have."""


async def everything(client) -> dict[str, str]:
    """All that our own tenant shows."""
    paths = [route for route in await guarded() if route.method == "GET" and route.role is not Role.OPERATOR]
    return {route.operation_id: (await client.get(address_of(route))).text for route in paths}


async def test_a_foreign_device_and_one_that_never_was_are_told_in_the_same_words():
    world = await make_world()
    await furnish(world)
    async with world.client("rival") as client:
        for route in await guarded():
            if not route.path.startswith("/api/v1/devices/{id}"):
                continue
            answers = []
            for id in ("meter-1", "never-1"):
                address = address_of(route).replace("meter-1", id)
                body = (await client.request(route.method, address, **request_of(route))).json()
                del body["request_id"]
                answers.append(str(body).replace(id, ""))
            assert answers[0] == answers[1], route.operation_id


@pytest.mark.parametrize("path", ["/api/v1/devices/", "/api/v1/devices/meter-1/", "/api/v2/devices", "/openapi.json/"])
async def test_no_address_is_nearly_right(path):
    async with (await make_world()).client() as client:
        response = await client.get(path)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
