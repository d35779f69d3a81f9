"""The HTTP door: `POST /api/v1/telemetry`, bare ASGI, with a device's token as bearer.

The answer leaves after the commit. A payload that can not be decoded is kept as a dead letter and answered with 200
too: it has a durable outcome, the body says which, and to send it again would change nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from ringmain.gateway.authenticate import Authenticator, NotPermitted
from ringmain.gateway.columns import OpenBatch
from ringmain.gateway.connections import SessionWatch
from ringmain.gateway.pipeline import Authenticated, Pipeline
from ringmain.model.device import Principal
from ringmain.model.errors import Failed, Refused, RingmainError
from ringmain.ports.clock import Clock

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_DEADLINE_S = 30.0
"""For a whole body to arrive; 1 MiB over a line of 300 kbit/s."""

BODIES_BYTES_MAX = 256 * 1024 * 1024
"""Of all requests at a time, until they are answered: one device must not be able to fill the memory."""

RETRY_AFTER_S = 5


TELEMETRY = b"telemetry"
"""The topic of a body that is posted."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the readings of one request; a payload that could not be decoded counts as one."""

    received: int
    accepted: int
    rejected: int
    dead_lettered: int
    reason: str = ""
    detail: str = ""


class Waiting:
    """The depositor of one request."""

    def __init__(self) -> None:
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, identifiers: list[bytes], failed: Failed | None) -> None:  # noqa: ARG002 - one request, one id
        """Depositor."""
        if self._done.done():
            return
        if failed:
            self._done.set_exception(failed)
        else:
            self._done.set_result(None)

    def refuse(self, identifiers: list[bytes], reason: str) -> None:
        """Depositor. The answer's body says it."""

    def hold(self) -> None:
        """Depositor. One request delivers no more anyhow."""

    def resume(self) -> None:
        """Depositor."""

    async def durable(self) -> None:
        """Wait for the commit; raises `Failed` where there was none."""
        await self._done


class HttpTelemetry:
    """The ASGI application."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        pipeline: Pipeline,
        sessions: SessionWatch,
        clock: Clock,
        body_bytes_max: int,
        on_refused: Callable[[str], None],
    ) -> None:
        self._authenticator = authenticator
        self._pipeline = pipeline
        self._sessions = sessions
        self._clock = clock
        self._body_bytes_max = body_bytes_max
        self._on_refused = on_refused
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        try:
            answer = await self._answer(scope, receive)
        except RingmainError as error:
            await _send_problem(send, error)
        else:
            await _send(send, 200, msgspec.json.encode(answer), {})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            raise Refused("method_not_allowed", f"{scope['method']} is not possible here", "POST readings")
        headers = {name.lower(): value for name, value in scope["headers"]}
        chunks: list[bytes] = []
        try:
            with self._pipeline.connections.watch() as changed:
                principal = await self._sign_in(headers)
                await self._body(headers, receive, chunks)
                while principal.device.key in changed:
                    changed.clear()
                    principal = await self._sign_in(headers)
            profile = principal.profile
            self._sessions.active(principal.device.key, self._clock.now_ms(), profile.expected_interval_s)
            content_type = headers.get(b"content-type", b"").decode("latin-1")
            return await self.take(principal, b"".join(chunks), content_type=content_type)
        finally:
            self._held_bytes -= sum(map(len, chunks))

    async def take(
        self, principal: Principal, payload: bytes, topic: bytes = TELEMETRY, *, content_type: str = ""
    ) -> Answer:
        """Bring one payload of a device into the log, as if it had come on that topic, and say what became of it once
        that is durable. A `content_type` that names no form of telemetry says nothing.
        """
        who, waiting = self._pipeline.admit(principal), Waiting()
        batch = self._pipeline.intake.batch()
        before = _outcomes(batch)
        said = [content_type] if content_type else None
        done = self._pipeline.uplink(Authenticated(who, "http", [topic], [payload], [b""], said), waiting)
        accepted, rejected, letters = (now - then for now, then in zip(_outcomes(batch), before, strict=True))
        await waiting.durable()
        dead = done[0].dead_letters
        reason, detail = (dead[0].reason, dead[0].detail) if dead else (done[0].reason, "")
        return Answer(accepted + rejected + letters, accepted, rejected, letters, reason, detail)

    async def _sign_in(self, headers: Mapping[bytes, bytes]) -> Principal:
        try:
            return await self._bearer(headers)
        except Refused as refused:
            self._on_refused(refused.code)
            raise

    async def _bearer(self, headers: Mapping[bytes, bytes]) -> Principal:
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused("bad_credentials", "no bearer token", "send Authorization: Bearer <the device's token>")
        try:
            return await self._authenticator.bearer(token.strip())
        except NotPermitted as refused:
            waiting = Waiting()
            self._pipeline.reject(refused.device.key, refused.code, 1)
            self._pipeline.intake.enlist(waiting, [b""])
            await waiting.durable()
            raise

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive, chunks: list[bytes]) -> None:
        """The whole body into `chunks`, each counted before it is kept."""
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._body_bytes_max:
            raise self._too_large(int(length))
        size = 0
        try:
            async with asyncio.timeout(BODY_DEADLINE_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused("invalid_request", "the request ended before its body; nothing was taken")
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > self._body_bytes_max:
                        raise self._too_large(size)
                    if self._held_bytes + len(chunk) > BODIES_BYTES_MAX:
                        raise Failed("unavailable", "too many bodies at a time; nothing was taken", "try again later")
                    self._held_bytes += len(chunk)
                    chunks.append(chunk)
                    if not message.get("more_body"):
                        return
        except TimeoutError as error:
            raise Refused("invalid_request", f"no body within {BODY_DEADLINE_S:.0f} s; nothing was taken") from error

    def _too_large(self, size: int) -> Refused:
        return Refused(
            "too_large",
            f"a body of {size} bytes or more, the limit is {self._body_bytes_max}; nothing was taken",
            "send smaller batches",
        )


def _outcomes(batch: OpenBatch) -> tuple[int, int, int]:
    """Readings, rejections and dead letters of a batch so far."""
    return batch.readings(), sum(batch.rejections.values()), len(batch.dead_letters)


async def _send_problem(send: Send, error: RingmainError) -> None:
    """RFC 9457."""
    row = error.error
    body = {
        "type": f"urn:ringmain:problem:{row.code}",
        "title": row.title,
        "status": row.http_status,
        "detail": error.detail,
        "hint": error.hint,
    }
    headers = {b"www-authenticate": b"Bearer"} if row.http_status == 401 else {}
    if row.http_status == 405:
        headers[b"allow"] = b"POST"
    if row.http_status in (503, 507):
        headers[b"retry-after"] = str(RETRY_AFTER_S).encode()
    await _send(send, row.http_status, msgspec.json.encode(body), headers, b"application/problem+json")


async def _send(
    send: Send, status: int, body: bytes, headers: Mapping[bytes, bytes], media: bytes = b"application/json"
) -> None:
    fields = [(b"content-type", media), (b"content-length", str(len(body)).encode()), *headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
