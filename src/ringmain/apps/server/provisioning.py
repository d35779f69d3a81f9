"""Claims at the doors: what comes as JSON is decoded, redeemed, and answered as JSON, the same at each of them.

A claimant comes over HTTP (see `api.routes.claims`), over MQTT with the claim as its password (`gateway.provisioning`),
or to a gateway, which publishes it to `devices/{id}/claims` and hears the answer on `devices/{id}/claims/answers`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from ringmain.apps.server.client_certificates import pem_of
from ringmain.gateway.connections import Connections
from ringmain.gateway.provisioning import answer_of, error_answer
from ringmain.model.device import LifecycleState
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey
from ringmain.services.lifecycle.claims import ClaimRequest, Claims, Provisioned

log = logging.getLogger(__name__)

T = TypeVar("T")

UNDER_WAY_MAX = 1_024
"""Claims of all gateways that are redeemed at a time; what comes beyond it is told to try again."""


class ClaimAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a claimant gets: who it is now, its token, and where it brought a CSR its certificate; `ca` is what it pins
    the platform to. The token is told here and kept nowhere.
    """

    tenant: str
    device: str
    state: LifecycleState
    token: str
    ca: str
    certificate: str = ""


class PassedOn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A claim as a gateway passes it on. `id` is its own name for it, which the answer carries."""

    id: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    claim: Annotated[str, Meta(max_length=256)]
    body: msgspec.Raw = msgspec.Raw(b"{}")


class _PassedAnswer(msgspec.Struct, frozen=True):
    id: int
    answer: msgspec.Raw


class ClaimDesk:
    """The `Provisioner` of the platform."""

    def __init__(self, claims: Claims, connections: Connections, ca_pem: Callable[[], str]) -> None:
        self._claims = claims
        self._connections = connections
        self._ca_pem = ca_pem
        self._under_way = 0

    async def redeem(self, claim: str, body: bytes) -> bytes:
        """Provisioner. A body that is empty stands for `{}`."""
        request = _decoded(body, ClaimRequest) if body.strip() else ClaimRequest()
        return msgspec.json.encode(self.answer(await self._claims.redeem(claim, request)))

    def answer(self, provisioned: Provisioned) -> ClaimAnswer:
        """What is told of it."""
        device, certificate = provisioned.device, provisioned.certificate
        return ClaimAnswer(
            device.tenant,
            device.id,
            device.state,
            provisioned.token,
            self._ca_pem(),
            pem_of(certificate.der) if certificate else "",
        )

    def passed_on(self, gateway: DeviceKey, payload: bytes, tasks: asyncio.TaskGroup) -> None:
        """A gateway published a claim. What can not be read has no id to be answered with: it is logged and left."""
        try:
            passed = _decoded(payload, PassedOn)
        except Refused as refused:
            log.warning("a gateway passed on what is no claim: %s", refused.detail)
            return
        if self._under_way >= UNDER_WAY_MAX:
            self._tell(gateway, passed.id, error_answer(_too_many()))
            return
        self._under_way += 1
        tasks.create_task(self._redeem_through(gateway, passed))

    async def _redeem_through(self, gateway: DeviceKey, passed: PassedOn) -> None:
        try:
            answer = await answer_of(self._through(gateway, passed))
        finally:
            self._under_way -= 1
        self._tell(gateway, passed.id, answer)

    async def _through(self, gateway: DeviceKey, passed: PassedOn) -> bytes:
        request = _decoded(passed.body, ClaimRequest)
        return msgspec.json.encode(self.answer(await self._claims.redeem(passed.claim, request, via=gateway)))

    def _tell(self, gateway: DeviceKey, id: int, answer: bytes) -> None:
        """At most once: a gateway that does not hear it asks again, and the same claimant is answered again."""
        self._connections.notify(gateway, "claims/answers", msgspec.json.encode(_PassedAnswer(id, msgspec.Raw(answer))))


def _too_many() -> Refused:
    return Refused("unavailable", "too many claims at a time; the claim is still good", "try again later")


def _decoded(body: bytes | msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(
            "invalid_request", f"The request is not understood: {error}. Nothing was changed.", _HINT
        ) from error


_HINT = 'Send {}, or {"csr": "-----BEGIN CERTIFICATE REQUEST-----..."}.'
