"""A platform for the command line to talk to: a Unix socket that answers what a test says, and remembers requests."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

Answer = tuple[int, object]


class Platform:
    """Answers come from `answers`, by method and path without its query; what is asked stands in `requests`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.answers: dict[tuple[str, str], Answer | Callable[[dict[str, str]], Answer]] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    platform: Platform


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        platform: Platform = self.server.platform
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path, _, text = self.path.partition("?")
        query = dict(pair.split("=", 1) for pair in text.split("&") if pair)
        platform.requests.append((self.command, self.path, dict(self.headers), body))
        answer = platform.answers.get((self.command, path), (404, {"detail": f"no answer to {self.path}"}))
        status, content = answer(query) if callable(answer) else answer
        encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    do_POST = do_GET  # noqa: N815  # http.server's own spelling
    do_PUT = do_GET  # noqa: N815
    do_DELETE = do_GET  # noqa: N815

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_args: object) -> None:
        return


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> Iterator[Platform]:
    """Its directory is the configured one."""
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "ringmain-data"
    (directory / "identity").mkdir(parents=True)
    (directory / "identity" / "admin.token").write_text("rma_the-token\n")
    # Bound by a relative name: pytest's directories are often longer than the 107 octets of a Unix socket's.
    server = _Server("ringmain-data/ringmain.sock", _Handler)
    server.platform = Platform(directory)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.platform
    server.shutdown()
    thread.join()
    server.server_close()
