"""The edge from outside: its socket, its buffer, and neither."""

import asyncio
import socket
import threading

from ringmain.adapters.embedded.buffer import EmbeddedBuffer
from ringmain.apps.demo import edge_state
from ringmain.apps.demo.edge_state import ask_edge, held_readings
from ringmain.apps.ownership import own


def test_one_that_is_not_there_does_not_answer(tmp_path):
    assert ask_edge(tmp_path / "nowhere") is None
    assert ask_edge(tmp_path) is None


def test_the_whole_answer_is_heard(tmp_path):
    answer = b"x" * 200_000
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "edge.sock"))
        listening.listen()

        def serve():
            heard, _ = listening.accept()
            with heard:
                heard.sendall(answer)

        serving = threading.Thread(target=serve)
        serving.start()
        assert ask_edge(tmp_path) == answer
        serving.join()


def test_one_that_says_nothing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(edge_state, "ANSWER_S_MAX", 0.02)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "edge.sock"))
        listening.listen()
        assert ask_edge(tmp_path) is None


def test_an_empty_buffer_holds_nothing_and_is_left_usable(tmp_path):
    async def make():
        await (await EmbeddedBuffer.open(tmp_path / "buffer.sqlite")).close()

    asyncio.run(make())
    assert held_readings(tmp_path) == 0
    assert held_readings(tmp_path) == 0


def test_a_buffer_that_is_in_use_or_damaged_is_unknown(tmp_path):
    with own(tmp_path):
        assert held_readings(tmp_path) is None
    ruined = b"no database" * 1000
    (tmp_path / "buffer.sqlite").write_bytes(ruined)
    assert held_readings(tmp_path) is None
    assert (tmp_path / "buffer.sqlite").read_bytes() == ruined, "a look changes nothing"
    assert [path.name for path in tmp_path.glob("buffer*")] == ["buffer.sqlite"]
