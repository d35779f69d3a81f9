"""Provisioning over MQTT: who has nothing but a one-time claim, and what such a connection may do.

The user name is `claim`, the password the claim token. It publishes to `provision`, hears the answer on
`provision/answer`, and nothing else is granted: whatever else it publishes ends it, and after 30 s it ends anyhow. A
claimant is no device: nothing of it is stored, routed or counted as a reading. Its claim is checked when it is
redeemed, not before, so that a gateway without its platform can take it in.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from ringmain.model.errors import Failed, RingmainError
from ringmain.protocols.mqtt.events import Published
from ringmain.protocols.mqtt.reasons import Reason

log = logging.getLogger(__name__)

USER_NAME = "claim"
CLAIM_PREFIX = "rmc_"
"""A device may be called `claim` as well: only with such a password it is meant as one."""

PROVISION, ANSWER = "provision", "provision/answer"

CLAIMANT_S_MAX = 30.0
"""From the sign-in to the end: enough for a slow key and a second try, too short to be of use as anything else."""

CLAIMANTS_MAX = 256
"""At a time: nobody has checked who they are, and they must not take the places of the devices."""

REQUEST_BYTES_MAX = 16_384
"""A CSR of RSA 4096 in JSON has some 2,500."""


class Provisioner(Protocol):
    """Turns claims into credentials: the platform itself, or a gateway that asks it."""

    async def redeem(self, claim: str, body: bytes) -> bytes:
        """The answer, JSON. May raise `Refused` and `Failed`, which the claimant is told."""
        ...


class ErrorAnswer(msgspec.Struct, frozen=True):
    """What a claimant hears instead of credentials: a code of `model.errors`, and what to do next."""

    error: str
    detail: str
    hint: str


def claim_of(user_name: str | None, password: bytes | None) -> str | None:
    """The claim that a CONNECT brings; None where it brings none."""
    if user_name != USER_NAME or password is None or not password.startswith(CLAIM_PREFIX.encode()):
        return None
    return password.decode("ascii", "replace")


async def answer_of(redeeming: Awaitable[bytes]) -> bytes:
    """The answer that a claim's redeeming comes to, or the error that it ended in."""
    try:
        return await redeeming
    except Failed as failed:
        log.warning("a claim could not be redeemed: %s", failed.detail)
        return error_answer(Failed(failed.code, f"{failed.error.title}; the claim may be used up or not", _AGAIN))
    except RingmainError as error:
        return error_answer(error)
    except Exception:
        log.exception("a claim could not be redeemed")
        return error_answer(Failed("internal", "the platform failed; the claim may be used up or not", _AGAIN))


def error_answer(error: RingmainError) -> bytes:
    """An error as a claimant hears it."""
    return msgspec.json.encode(ErrorAnswer(error.code, error.detail, error.hint))


class Claimant:
    """What one connection with a claim has under way. It says what is to be done; the connection does it."""

    def __init__(
        self,
        claim: str,
        provisioner: Provisioner,
        tasks: asyncio.TaskGroup,
        *,
        answer: Callable[[bytes, bytes], None],
        end: Callable[[Reason, str], None],
    ) -> None:
        """`answer` takes the packet identifier of the request and the body; `end` closes the connection."""
        self._claim = claim
        self._provisioner = provisioner
        self._tasks = tasks
        self._answer = answer
        self._end = end
        self._timer = asyncio.get_running_loop().call_later(CLAIMANT_S_MAX, self._late)
        self._is_busy = False

    def close(self) -> None:
        """The connection is over. What is being redeemed goes on, for nobody knows how far it came."""
        self._timer.cancel()

    def grants(self, pattern: str) -> tuple[str, ...]:
        """Which notices a filter covers."""
        return (ANSWER,) if pattern == ANSWER else ()

    def published(self, event: Published, *, listens: bool) -> None:
        """Redeem the claim, or end the connection where that is not what was published, and leave the claim as it is.
        Nobody is answered who does not listen: the claim would be used up for nothing.
        """
        if any(topic != PROVISION.encode() for topic in event.topics):
            self._end(Reason.NOT_AUTHORIZED, f"a claim may publish to {PROVISION} only; nothing was taken")
        elif not listens:
            self._end(Reason.NOT_AUTHORIZED, f"subscribe to {ANSWER} first; the claim is still good")
        elif len(event.topics) > 1 or self._is_busy:
            self._end(Reason.QUOTA_EXCEEDED, "one request at a time")
        elif len(event.payloads[0]) > REQUEST_BYTES_MAX:
            self._end(Reason.PACKET_TOO_LARGE, f"a request has {REQUEST_BYTES_MAX} bytes at most; the claim is good")
        else:
            self._is_busy = True
            self._tasks.create_task(self._redeem(event.identifiers[0], event.payloads[0]))

    async def _redeem(self, identifier: bytes, body: bytes) -> None:
        answer = await answer_of(self._provisioner.redeem(self._claim, body))
        self._is_busy = False
        self._answer(identifier, answer)

    def _late(self) -> None:
        self._end(Reason.ADMINISTRATIVE_ACTION, f"a claim has {CLAIMANT_S_MAX:.0f} s; come as the device now")


_AGAIN = "repeat the request with the same CSR or nonce: it is answered again"
