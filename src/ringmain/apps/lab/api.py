"""The lab's own client of the platform's HTTP API: one connection, JSON, problems as errors, pages as iterators.

The standard library's HTTP alone, so that the judge shares no code with the platform that it judges.
"""

import http.client
from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

TIMEOUT_S = 30.0
"""For one answer. A year's bill takes well under a second; a platform that needs longer has stopped."""

PAGE_SIZE = 10_000
"""The most that the API gives at once."""

Answer = TypeVar("Answer")


class ApiError(Exception):
    """The platform refused a request, or could not be reached. `status` is 0 where there was no answer."""

    def __init__(self, status: int, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.hint = hint


class _Problem(msgspec.Struct):
    """RFC 9457, as far as a person needs it."""

    title: str = ""
    detail: str = ""
    hint: str = ""


class Raw(msgspec.Struct, frozen=True):
    """An answer as it was served."""

    status: int
    headers: dict[str, str]
    body: bytes


class Api:
    """Speaks with a token's rights. Addresses start behind the host."""

    def __init__(self, port: int, token: str, host: str = "127.0.0.1") -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    def raw(self, method: str, path: str, body: object = None) -> Raw:
        """The answer's bytes. ApiError for every status from 400 on."""
        content = None if body is None else msgspec.json.encode(body)
        return self._answer(method, path, content, "application/json")

    def upload(self, path: str, text: str, content_type: str) -> Raw:
        """The same for POST with a body that is not JSON."""
        return self._answer("POST", path, text.encode(), content_type)

    def _answer(self, method: str, path: str, content: bytes | None, content_type: str) -> Raw:
        headers = self._headers if content is None else {**self._headers, "content-type": content_type}
        try:
            self._connection.request(method, path, content, headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ApiError(0, f"{method} {path}: no answer: {str(error) or type(error).__name__}") from error
        if response.status >= http.client.BAD_REQUEST:
            raise _refusal(method, path, response.status, answer)
        return Raw(response.status, {name.lower(): value for name, value in response.getheaders()}, answer)

    def get(self, path: str, type_: type[Answer], **query: object) -> Answer:
        """The decoded answer to GET. Where it is not what the API promises, that is an ApiError too."""
        target = f"{path}?{urlencode(query)}" if query else path
        return decoded("GET", target, self.raw("GET", target), type_)

    def send(self, method: str, path: str, type_: type[Answer], body: object = None) -> Answer:
        """The decoded answer to POST or PUT."""
        return decoded(method, path, self.raw(method, path, body), type_)

    def pages(self, path: str, type_: type[Answer], limit: int = PAGE_SIZE, **query: object) -> Iterator[Answer]:
        """All items behind a paged address, in the order in which they come."""
        cursor: dict[str, object] = {}
        while True:
            page = self.get(path, _Page, **query, **cursor, limit=limit)
            yield from msgspec.json.decode(page.items, type=list[type_])  # type: ignore[valid-type]  # a run-time type
            if page.next is None:
                return
            if page.next == cursor.get("cursor"):
                raise ApiError(200, f"GET {path}: the page behind cursor {page.next} is itself")
            cursor = {"cursor": page.next}

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


class _Page(msgspec.Struct):
    items: msgspec.Raw
    next: str | None


def decoded(method: str, path: str, answer: Raw, type_: type[Answer]) -> Answer:
    """An answer as `type_`; ApiError where it is none."""
    try:
        return msgspec.json.decode(answer.body, type=type_)
    except msgspec.DecodeError as error:
        raise ApiError(answer.status, f"{method} {path}: the answer is not what the API promises: {error}") from error


def _refusal(method: str, path: str, status: int, body: bytes) -> ApiError:
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem(detail=body[:200].decode(errors="replace"))
    return ApiError(status, f"{method} {path}: {status} {problem.detail or problem.title}", problem.hint)
