"""The HTTP door: 2xx only for what is durable, and a body never outlives the permission it came with."""

import asyncio

import msgspec
import pytest

from ringmain.gateway import http
from ringmain.model.device import LifecycleState
from ringmain.model.errors import Failed


class Answered:
    def __init__(self):
        self.status, self.headers, self.body = 0, {}, b""

    async def __call__(self, message):
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message["body"]

    @property
    def json(self):
        return msgspec.json.decode(self.body)


@pytest.fixture
def post(gateway):
    """One request; `body` may be a list of pieces, of which a coroutine is awaited before the next."""

    async def make(body=b'{"ts":1,"a":1}', token="tok1", method="POST", headers=()):
        pieces = [body] if isinstance(body, bytes) else list(body)
        sent = dict(headers)
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token}")

        async def receive():
            while pieces and not isinstance(pieces[0], bytes):
                await pieces.pop(0)
            if not pieces:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        scope = {"method": method, "headers": [(k.encode(), v.encode("latin-1")) for k, v in sent.items()]}
        answered = Answered()
        await gateway.telemetry(scope, receive, answered)
        return answered

    return make


@pytest.mark.parametrize(
    ("token", "headers"),
    [(None, {}), ("", {}), ("wrong", {}), (None, {"authorization": "Basic dG9rMQ=="}),
     (None, {"authorization": "Bearer"}), ("\xff", {}), (None, {"authorization": "tok1"})],
)  # fmt: skip
async def test_without_a_valid_token(gateway, post, token, headers):
    answered = await post(token=token, headers=headers)
    assert answered.status == 401
    assert answered.headers[b"www-authenticate"] == b"Bearer"
    assert answered.json["type"] == "urn:ringmain:problem:bad_credentials"
    assert (gateway.refused, gateway.queue.appends) == (["bad_credentials"], 0)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_accepted(gateway, post, scheme):
    answered = await post(b'[{"ts":1,"a":1},{"ts":2,"a":2,"b":3}]', None, headers={"AUTHORIZATION": f"{scheme} tok1"})
    assert answered.status == 200
    assert {name: count for name, count in answered.json.items() if count} == {"received": 3, "accepted": 3}
    assert answered.headers[b"content-length"] == str(len(answered.body)).encode()
    assert len(gateway.stored()) == 3
    assert ("active", gateway.m1.key) in gateway.watch.heard


async def test_a_dead_letter_has_an_outcome_too(gateway, post):
    answered = await post(b"?")
    assert (answered.status, answered.json["dead_lettered"], answered.json["reason"]) == (200, 1, "undecodable_payload")
    assert gateway.dead() == [(gateway.m1.key, b"?")]


async def test_no_answer_before_the_commit(gateway, post, turns):
    gateway.queue.open.clear()
    request = asyncio.ensure_future(post())
    await turns()
    assert not request.done()
    gateway.queue.open.set()
    assert (await request).status == 200


@pytest.mark.parametrize(("code", "status"), [("storage_full", 507), ("storage_failed", 503)])
async def test_what_is_not_durable_is_not_accepted(gateway, post, code, status):
    gateway.queue.failing = Failed(code, "no")
    answered = await post()
    assert answered.status == status
    assert answered.headers[b"retry-after"] == b"5"
    assert len(gateway.broken) == (code == "storage_failed")
    gateway.queue.failing = None


async def test_there_is_room_again(gateway, post, monkeypatch):
    monkeypatch.setattr("ringmain.gateway.intake.RETRY_S", 0.01)
    gateway.queue.failing = Failed("storage_full", "no")
    assert (await post()).status == 507
    gateway.queue.failing = None
    assert (await post()).status == 200
    assert len(gateway.stored()) == 1


async def test_a_suspended_device_is_refused_and_that_is_counted(gateway, post):
    await gateway.move(gateway.m1, LifecycleState.SUSPENDED)
    answered = await post()
    assert (answered.status, answered.json["type"]) == (403, "urn:ringmain:problem:device_suspended")
    assert gateway.rejected() == [(gateway.m1.key, "device_suspended", 1)]
    assert gateway.stored() == []
    assert gateway.refused == ["device_suspended"]


async def test_suspended_while_the_body_comes(gateway, post):
    answered = await post([b'{"ts":1,', gateway.move(gateway.m1, LifecycleState.SUSPENDED), b'"a":1}'])
    assert answered.status == 403
    assert gateway.stored() == []
    assert gateway.rejected() == [(gateway.m1.key, "device_suspended", 1)]


async def test_activated_while_the_body_comes(gateway, post):
    device = await gateway.add("m3", "tok3", LifecycleState.PROVISIONED)
    answered = await post([b'{"ts":1,', gateway.move(device, LifecycleState.ACTIVE), b'"a":1}'], "tok3")
    assert answered.status == 200
    assert gateway.quarantined() == [False]


async def test_provisioned_is_kept_apart(gateway, post):
    await gateway.add("m3", "tok3", LifecycleState.PROVISIONED)
    assert (await post(token="tok3")).status == 200
    assert gateway.quarantined() == [True]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_other_methods(gateway, post, method):
    answered = await post(method=method)
    assert (answered.status, answered.headers[b"allow"]) == (405, b"POST")


async def test_too_large_before_and_while_it_is_read(gateway, post):
    assert (await post(b"", headers={"content-length": "10001"})).status == 413
    assert (await post([b"x" * 6000, b"x" * 6000])).status == 413
    assert gateway.queue.appends == 0


async def test_a_length_that_is_none_is_no_error_of_ours(gateway, post):
    assert (await post(headers={"content-length": "many"})).status == 200


async def test_gone_before_the_end(gateway, post):
    async def nothing():
        pass

    answered = await post([nothing()])
    assert answered.status == 400
    assert gateway.queue.appends == 0


async def test_too_slow(gateway, post, monkeypatch):
    monkeypatch.setattr(http, "BODY_DEADLINE_S", 0.01)
    answered = await post([b"{", asyncio.sleep(5), b"}"])
    assert answered.status == 400
    assert "no body within" in answered.json["detail"]


async def test_the_bodies_of_all_requests_are_bounded(gateway, post, turns, monkeypatch):
    monkeypatch.setattr(http, "BODIES_BYTES_MAX", 100)
    gateway.queue.open.clear()
    first = asyncio.ensure_future(post(b'{"ts":1,"a":1}' + b" " * 50))
    await turns()
    refused = await post(b'{"ts":2,"a":1}' + b" " * 50)
    assert (refused.status, refused.headers[b"retry-after"]) == (503, b"5")
    gateway.queue.open.set()
    assert (await first).status == 200
    assert (await post(b'{"ts":3,"a":1}' + b" " * 50)).status == 200
    assert gateway.telemetry._held_bytes == 0


async def test_an_error_on_our_side_is_no_wrong_token(gateway, post, monkeypatch):
    async def holder(_):
        raise RuntimeError("upside down")

    monkeypatch.setattr(gateway.credentials, "holder", holder)
    assert (await post()).status == 503


async def test_a_request_that_was_cancelled_leaves_nothing_behind(gateway, post, turns):
    gateway.queue.open.clear()
    request = asyncio.ensure_future(post())
    await turns()
    request.cancel()
    await turns()
    gateway.queue.open.set()
    await turns()
    assert len(gateway.stored()) == 1
    assert gateway.telemetry._held_bytes == 0


@pytest.mark.parametrize("media", ["application/msgpack", "application/octet-stream", "", "\xff"])
async def test_a_content_type_says_what_the_body_is(gateway, post, media):
    answered = await post(msgspec.msgpack.encode({"ts": 1, "a": 1}), headers={"Content-Type": media})
    assert (answered.status, answered.json["accepted"]) == (200, 1)
    answered = await post(b'{"ts":1,"a":1}', headers={"Content-Type": "application/senml+json"})
    assert (answered.json["dead_lettered"], answered.json["reason"]) == (1, "undecodable_payload")
