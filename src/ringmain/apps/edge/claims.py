"""Claims of local meters, passed on: the platform redeems them, and delegates the meter to this gateway besides."""

import asyncio

import msgspec

from ringmain.model.errors import Failed, Refused
from ringmain.ports.uplink import Uplink

ANSWER_S_MAX = 20.0
"""For the platform's answer; the connection of a claimant lives 30 s at most."""

WAITING_MAX = 64
"""Claims under way at a time: a van full of meters switched on at once."""


class _Answer(msgspec.Struct, frozen=True):
    id: int
    answer: msgspec.Raw


class PassedOn:
    """See `gateway.provisioning`: redeems by asking the platform."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._next = 0

    async def redeem(self, claim: str, body: bytes) -> bytes:
        """The platform's answer, as it came. `Refused("unavailable")` where there is none in time: the claim may or
        may not be used up, and the same request again gets the same answer.
        """
        if not self._uplink.is_up or len(self._waiting) >= WAITING_MAX:
            raise Refused("unavailable", "the platform can not be reached now", "the claim is still good: try again")
        try:
            request = msgspec.json.decode(body) if body.strip() else {}
        except msgspec.DecodeError as error:
            raise Refused("invalid_request", f"the request is not JSON: {error}", "send {} or a CSR") from error
        self._next += 1
        identifier = self._next
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[identifier] = answer
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                message = {"id": identifier, "claim": claim, "body": request}
                await self._uplink.send("claims", msgspec.json.encode(message))
                return await answer
        except (TimeoutError, Failed) as error:
            raise Refused("unavailable", "the platform did not answer in time", "try again with the same") from error
        finally:
            del self._waiting[identifier]

    def answered(self, payload: bytes) -> None:
        """An answer of the platform; one that nobody waits for is too late."""
        try:
            found = msgspec.json.decode(payload, type=_Answer)
        except msgspec.DecodeError:
            return
        waiting = self._waiting.get(found.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(bytes(found.answer))
