"""A client of the platform's API over its Unix socket, with the administrator's token from the data directory.

Whoever can read that directory may do everything; there is nothing to sign in to. Requests go one after another
over one connection. Problems (RFC 9457) become a `CommandError` with the hint that the platform gave.
"""

import http.client
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

import msgspec

from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.config import Config
from ringmain.apps.ownership import owner_of
from ringmain.model.ids import DEFAULT_TENANT, TenantId

TIMEOUT_S = 120
"""An import of 250,000 devices takes some 20 s; a platform that needs longer than this does not answer any more."""

PAGE_SIZE = 500
"""Rows asked for at a time; the API's own limit may be lower, then pages are shorter."""


class NotRunning(CommandError):
    """Nobody answers on the socket."""

    def __init__(self, config: Config) -> None:
        super().__init__(
            Exit.UNAVAILABLE,
            f"no platform answers in {config.storage_dir}",
            "start it with `ringmain up`, or name its directory: --set storage.dir=DIR before the command, or"
            " RINGMAIN_STORAGE__DIR",
        )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Through the directory's descriptor: an address of a Unix socket has 107 octets at most (unix(7))."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        except OSError:
            self.sock.close()
            raise
        finally:
            os.close(folder)


class Client:
    """The API of the platform that owns the configured data directory: `with Client(config) as client`."""

    def __init__(self, config: Config, tenant: TenantId = DEFAULT_TENANT) -> None:
        self._config = config
        self._tenant = tenant
        self._connection = _UnixConnection(config.socket_path)
        self._headers = {"accept": "application/json"}

    def __enter__(self) -> Self:
        """Connect. Raises `NotRunning` where nobody listens, and says so where this user may not ask."""
        try:
            self._connection.connect()
            token = self._config.admin_token_path.read_text(encoding="ascii").strip()
        except PermissionError as error:
            self._connection.close()
            raise CommandError(
                Exit.UNAVAILABLE,
                f"this user may not use the platform in {self._config.storage_dir}: {error.filename or 'its socket'}",
                "run the command as the user that runs the platform",
            ) from error
        except OSError as error:
            self._connection.close()
            raise NotRunning(self._config) from error
        self._headers["authorization"] = f"Bearer {token}"
        if self._tenant != DEFAULT_TENANT:
            try:
                self._headers["authorization"] = f"Bearer {self._tenant_token()}"
            except BaseException:
                self._connection.close()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        """The decoded answer to GET."""
        named = {name: value for name, value in (query or {}).items() if value is not None}
        return self._ask("GET", f"{path}?{urlencode(named)}" if named else path, None, "")

    def post(self, path: str, body: object = None) -> Any:
        """The decoded answer to POST of JSON."""
        return self._ask("POST", path, b"" if body is None else msgspec.json.encode(body), "application/json")

    def put(self, path: str, body: object) -> Any:
        """The decoded answer to PUT of JSON."""
        return self._ask("PUT", path, msgspec.json.encode(body), "application/json")

    def delete(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        """The decoded answer to DELETE."""
        named = {name: value for name, value in (query or {}).items() if value is not None}
        return self._ask("DELETE", f"{path}?{urlencode(named)}" if named else path, None, "")

    def post_csv(self, path: str, text: str) -> Any:
        """The decoded answer to POST of a CSV file."""
        return self._ask("POST", path, text.encode(), "text/csv")

    def pages(self, path: str, query: Mapping[str, object], count: int | None) -> Iterator[Mapping[str, object]]:
        """All items behind a paged route, or the first `count` of them."""
        cursor: object = None
        while count is None or count > 0:
            limit = PAGE_SIZE if count is None else min(PAGE_SIZE, count)
            page = self.get(path, {**query, "limit": limit, "cursor": cursor})
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return
            count = None if count is None else count - len(page["items"])

    def _tenant_token(self) -> str:
        """The tenant's administrator's token. The operator's own opens the default tenant alone, so one is asked for
        at first use and kept beside it; whoever can read the one can read the other.
        """
        path = self._config.admin_token_path.parent / "tenants" / f"{self._tenant}.token"
        if path.is_file():
            return path.read_text(encoding="ascii").strip()
        token = str(self.post(f"/api/v1/tenants/{quote(self._tenant, safe='')}/tokens")["token"])
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(token + "\n")
        return token

    def _ask(self, method: str, target: str, body: bytes | None, media: str) -> Any:
        headers = {**self._headers, "content-type": media} if body is not None else self._headers
        try:
            self._connection.request(method, target, body, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            owner = owner_of(self._config.storage_dir)
            raise CommandError(
                Exit.UNAVAILABLE,
                f"the platform did not answer {method} {target} ({type(error).__name__}: {error}); whether it was done"
                " is not known",
                f"look at the log of process {owner.pid}, then ask again" if owner else "ask again",
            ) from error
        if response.status >= http.client.BAD_REQUEST:
            raise _refusal(response.status, content)
        return msgspec.json.decode(content) if content else None


class _Problem(msgspec.Struct):
    title: str = ""
    detail: str = ""
    hint: str = ""
    path: str = ""
    parameter: str = ""


def _refusal(status: int, content: bytes) -> CommandError:
    try:
        problem = msgspec.json.decode(content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem(detail=content[:200].decode(errors="replace"))
    place = problem.path or problem.parameter
    detail = problem.detail or problem.title or f"the platform answered {status}"
    code = Exit.UNAVAILABLE if status >= http.client.INTERNAL_SERVER_ERROR else Exit.REFUSED
    return CommandError(code, f"{detail} (at {place})" if place else detail, problem.hint)


def device_path(device: str, verb: str = "") -> str:
    """The address of a device, or of a verb on it."""
    return f"/api/v1/devices/{quote(device, safe='')}" + (f"/{verb}" if verb else "")
