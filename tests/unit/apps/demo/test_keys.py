"""Keys in a pseudo terminal: one at a time, without echo, and the terminal as it was before."""

import os
import pty
import sys
import termios
import time

import pytest

from ringmain.apps.demo.keys import Keys, keys_of_terminal


@pytest.fixture
def terminal(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r", closefd=False) as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield ours, theirs
    for descriptor in (ours, theirs):
        os.close(descriptor)


def test_a_key_is_heard_without_enter_and_without_echo(terminal):
    ours, _ = terminal
    with keys_of_terminal() as keys:
        os.write(ours, b"C")
        assert keys.wait(5.0) == "c"
        assert keys.wait(0.0) == ""
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        os.read(ours, 1)


def test_the_terminal_is_as_before_whatever_happened(terminal):
    _, theirs = terminal
    before = termios.tcgetattr(theirs)
    with pytest.raises(KeyboardInterrupt), keys_of_terminal():
        during = termios.tcgetattr(theirs)
        assert not during[3] & termios.ECHO
        assert during[3] & termios.ISIG, "Ctrl-C stays Ctrl-C"
        raise KeyboardInterrupt
    assert termios.tcgetattr(theirs) == before


def test_without_a_terminal_there_are_no_keys(monkeypatch, tmp_path):
    with (tmp_path / "file").open("w+") as file:
        monkeypatch.setattr(sys, "stdin", file)
        with keys_of_terminal() as keys:
            assert keys.wait(0.01) == ""


def test_without_keys_the_time_passes_all_the_same():
    began = time.monotonic()
    assert Keys(None).wait(0.05) == ""
    assert time.monotonic() - began >= 0.05


def test_a_terminal_that_is_gone_is_no_endless_loop():
    read, write = os.pipe()
    os.close(write)
    keys = Keys(read)
    try:
        assert keys.wait(0.0) == ""
        began = time.monotonic()
        assert keys.wait(0.05) == ""
        assert time.monotonic() - began >= 0.05, "it waits instead of asking again at once"
    finally:
        os.close(read)
