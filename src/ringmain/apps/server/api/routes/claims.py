"""Claims and certificates: how devices come in, and how their certificates follow each other and end."""

from typing import Annotated

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import Call, Route
from ringmain.apps.server.api.kit.problems import Rejected
from ringmain.apps.server.api.paging import Page
from ringmain.apps.server.api.routes.devices import DeviceAnswer, DeviceParams, device_answer
from ringmain.apps.server.api.words import Name, Timestamp
from ringmain.apps.server.client_certificates import pem_of
from ringmain.apps.server.provisioning import ClaimAnswer
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId
from ringmain.model.time import Instant, format_rfc3339
from ringmain.ports.credentials import Certificate, Role
from ringmain.services.lifecycle.claims import CSR_LENGTH_MAX, TTL_S, TTL_S_MAX, TTL_S_MIN, ClaimRequest

Csr = Annotated[
    str, msgspec.Meta(min_length=1, max_length=CSR_LENGTH_MAX, description="A certificate request (PKCS #10), PEM.")
]


class ClaimToMake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long it is valid, and whether the device is active once it is redeemed, or provisioned only."""

    ttl_s: Annotated[int, msgspec.Meta(ge=TTL_S_MIN, le=TTL_S_MAX)] = TTL_S
    activate: bool = True


class ClaimMade(msgspec.Struct, frozen=True):
    """A claim token, which is told here and never again."""

    claim: str
    expires_at: Timestamp


class CertificateToMake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the request only the key counts; whom the certificate names is the platform's to say."""

    csr: Csr


class CertificateAnswer(msgspec.Struct, frozen=True):
    """A client certificate of the platform's CA, PEM. `serial` is its number in hexadecimal digits."""

    serial: str
    expires_at: Timestamp
    certificate: str


class CertificateParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name
    serial: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{1,40}$(?!\n)")]


def certificate_answer(certificate: Certificate) -> CertificateAnswer:
    """A certificate as the API tells it."""
    expires_at = format_rfc3339(Instant(certificate.expires_ms))
    return CertificateAnswer(certificate.serial, expires_at, pem_of(certificate.der))


async def make_claim(context: Context, call: Call[DeviceParams, ClaimToMake]) -> ClaimMade:
    """A one-time token with which a registered device fetches its own credentials; it replaces an open one."""
    opened = await context.claims.open(
        call.caller.tenant,
        DeviceId(call.params.id),
        call.body.ttl_s,
        activate=call.body.activate,
        by=call.caller.name,
    )
    return ClaimMade(opened.claim, format_rfc3339(Instant(opened.expires_ms)))


async def redeem_claim(context: Context, call: Call[msgspec.Struct, ClaimRequest]) -> ClaimAnswer:
    """With the claim as bearer token, once. The device gets a token, and for a CSR a client certificate. Who brings the
    same CSR or nonce again is given the same answer for as long as the claim is valid; everybody else hears the same
    refusal, whatever is wrong with the claim.
    """
    try:
        return context.claim_answer(await context.claims.redeem(call.bearer, call.body))
    except Refused as refused:
        headers = {}
        if refused.code == "bad_credentials":
            headers["www-authenticate"] = 'Bearer realm="ringmain", error=invalid_token'
        raise Rejected(refused.code, refused.detail, refused.hint, headers=headers) from refused


async def list_certificates(context: Context, call: Call[DeviceParams, None]) -> Page[CertificateAnswer]:
    """Those that are not revoked, oldest first; some of them may have expired."""
    held = await context.certificates.of(call.caller.tenant, DeviceId(call.params.id))
    return Page([certificate_answer(one) for one in held], None)


async def issue_certificate(context: Context, call: Call[DeviceParams, CertificateToMake]) -> CertificateAnswer:
    """One more, beside those it has, so that a device changes over before the last one ends."""
    made = await context.certificates.issue(call.caller.tenant, DeviceId(call.params.id), call.body.csr)
    return certificate_answer(made)


async def revoke_certificate(context: Context, call: Call[CertificateParams, None]) -> DeviceAnswer:
    """It ends with this call, and the device's connections are cut; its token and other certificates stay."""
    id = DeviceId(call.params.id)
    return device_answer(await context.certificates.revoke(call.caller.tenant, id, call.params.serial))


_TAG = "Onboarding"
_CSR = "-----BEGIN CERTIFICATE REQUEST-----\n...\n-----END CERTIFICATE REQUEST-----\n"
ROUTES = (
    Route(
        "POST",
        "/api/v1/devices/{id}/claims",
        make_claim,
        "Make a one-time claim for a registered device",
        _TAG,
        ClaimMade,
        Role.ADMIN,
        DeviceParams,
        body=ClaimToMake,
        body_example={"ttl_s": 86400},
        statuses=(201,),
        problems=("not_found", "invalid_transition", "unprocessable"),
    ),
    Route(
        "POST",
        "/api/v1/claims/redeem",
        redeem_claim,
        "Redeem a claim",
        _TAG,
        ClaimAnswer,
        None,
        body=ClaimRequest,
        body_example={"csr": _CSR},
        problems=("unprocessable",),
        scheme="claim",
    ),
    Route(
        "GET",
        "/api/v1/devices/{id}/certificates",
        list_certificates,
        "List a device's client certificates",
        _TAG,
        Page[CertificateAnswer],
        Role.VIEWER,
        DeviceParams,
        problems=("not_found",),
    ),
    Route(
        "POST",
        "/api/v1/devices/{id}/certificates",
        issue_certificate,
        "Issue one more client certificate",
        _TAG,
        CertificateAnswer,
        Role.ADMIN,
        DeviceParams,
        body=CertificateToMake,
        body_example={"csr": _CSR},
        statuses=(201,),
        problems=("not_found", "invalid_transition", "already_exists", "unprocessable"),
    ),
    Route(
        "DELETE",
        "/api/v1/devices/{id}/certificates/{serial}",
        revoke_certificate,
        "Revoke a client certificate",
        _TAG,
        DeviceAnswer,
        Role.ADMIN,
        CertificateParams,
        problems=("not_found",),
    ),
)
