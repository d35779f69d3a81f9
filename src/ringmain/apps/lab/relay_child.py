"""The relay as a process of the lab: told what to do by lines, believed only when it has answered."""

import time
from functools import cached_property

import msgspec

from ringmain.apps.lab.processes import POLL_S, Child, Family
from ringmain.apps.lab.relay import Listening, Stats

MODULE = "ringmain.apps.lab.relay"

ANSWER_S_MAX = 10.0
"""For one answer. It takes milliseconds; a process that starts on a busy machine takes a second."""


class RelayChild:
    """A relay before `to_port` of this machine."""

    def __init__(self, family: Family, to_port: int, seed: int) -> None:
        arguments = ["--listen-port", "0", "--to", f"127.0.0.1:{to_port}", "--seed", str(seed)]
        self.child: Child = family.start("relay", MODULE, arguments, hears=True)
        self._heard = 0

    @cached_property
    def port(self) -> int:
        """Its own; who asks first waits until it listens. StepFailed where it does not."""
        return msgspec.json.decode(self._answer(), type=Listening).port

    def tell(self, command: str) -> Stats:
        """One command; its answer. StepFailed where there is none, or where it is a refusal."""
        _ = self.port  # its first line
        self.child.say(command)
        answer = self._answer()
        try:
            return msgspec.json.decode(answer, type=Stats)
        except msgspec.DecodeError as error:
            raise self.child.failed(f"refused {command!r}: {answer.decode(errors='replace')}") from error

    def _answer(self) -> bytes:
        until = time.monotonic() + ANSWER_S_MAX
        while True:
            lines = self.child.output().split(b"\n")[:-1]  # behind the last line end a line may be half written
            if len(lines) > self._heard:
                self._heard += 1
                return lines[self._heard - 1]
            self.child.check_alive()
            if time.monotonic() >= until:
                raise self.child.failed(f"did not answer within {ANSWER_S_MAX:g} s")
            time.sleep(POLL_S / 10)
