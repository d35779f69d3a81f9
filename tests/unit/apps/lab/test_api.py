"""The lab's HTTP client against a scripted server."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest

from ringmain.apps.lab.api import Api, ApiError


class Item(msgspec.Struct):
    n: int


@pytest.fixture
def served():
    """(answers, requests, port): each request takes the next answer (status, body)."""
    answers, requests = [], []

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            requests.append((self.command, self.path, self.headers["authorization"], body))
            status, answer = answers.pop(0)
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_PUT = do_POST = do_GET  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="scripted-api")
    thread.start()
    yield answers, requests, server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(served):
    api = Api(served[2], "token")
    yield api
    api.close()


def test_a_body_is_sent_as_json_with_the_token(served, api):
    answers, requests, _ = served
    answers.append((201, b'{"n": 1}'))
    assert api.send("POST", "/things", Item, {"a": 1}) == Item(1)
    assert requests == [("POST", "/things", "Bearer token", b'{"a":1}')]


def test_no_token_means_no_header(served):
    answers, requests, port = served
    answers.append((200, b""))
    api = Api(port, "")
    api.raw("GET", "/readyz")
    api.close()
    assert requests == [("GET", "/readyz", None, b"")]


def test_pages_follow_the_cursor_to_the_end(served, api):
    answers, requests, _ = served
    answers += [(200, b'{"items": [{"n": 1}, {"n": 2}], "next": "x y"}'), (200, b'{"items": [{"n": 3}], "next": null}')]
    assert [item.n for item in api.pages("/things", Item, 2, channel="a b")] == [1, 2, 3]
    assert [path for _, path, _, _ in requests] == [
        "/things?channel=a+b&limit=2",
        "/things?channel=a+b&cursor=x+y&limit=2",
    ]


def test_a_cursor_that_leads_to_itself_is_an_error(served, api):
    answers, _, _ = served
    answers += [(200, b'{"items": [], "next": "x"}')] * 2
    with pytest.raises(ApiError, match="is itself"):
        list(api.pages("/things", Item))


@pytest.mark.parametrize(
    ("status", "body", "detail", "hint"),
    [
        (
            409,
            b'{"title": "T", "detail": "It is there.", "hint": "Take another."}',
            "409 It is there.",
            "Take another.",
        ),
        (404, b'{"title": "Not found"}', "404 Not found", ""),
        (500, b"<html>oops", "500 <html>oops", ""),
    ],
)
def test_a_problem_is_an_error_with_its_words(served, api, status, body, detail, hint):
    served[0].append((status, body))
    with pytest.raises(ApiError) as caught:
        api.get("/things", Item)
    assert (caught.value.status, caught.value.detail, caught.value.hint) == (status, f"GET /things: {detail}", hint)


def test_an_answer_of_another_shape_is_an_error(served, api):
    served[0].append((200, b'{"m": 1}'))
    with pytest.raises(ApiError, match="not what the API promises"):
        api.get("/things", Item)


def test_nobody_there_is_an_error_of_status_0():
    api = Api(1, "token")
    with pytest.raises(ApiError, match="GET /things: no answer") as caught:
        api.get("/things", Item)
    assert caught.value.status == 0
