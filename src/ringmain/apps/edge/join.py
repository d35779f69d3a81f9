"""Joining: a gateway comes into a platform with a one-time claim, and has a certificate of its own from then on.

The key is made here and never leaves; the claim and a certificate request go over TLS to the platform whose CA the
installer brought. Where the answer is lost on the way, the same command again gets the same one: the key stays.
"""

import asyncio
import contextlib
from pathlib import Path
from random import Random

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from ringmain.adapters.embedded.blobs import write_durably
from ringmain.adapters.embedded.uplink import MqttUplink
from ringmain.adapters.embedded.uplink_target import Target
from ringmain.apps.edge.binding import refuse_leftovers
from ringmain.apps.edge.membership import Membership, files_in
from ringmain.model.errors import Failed, Refused
from ringmain.model.ids import DeviceId, TenantId
from ringmain.protocols.mqtt.client_events import ClientSettings
from ringmain.protocols.mqtt.reasons import Reason
from ringmain.transports.ssl_context import client_context

JOIN_S_MAX = 30.0
"""For the whole of it, over a slow line too."""


_FINAL = (Reason.BAD_USER_NAME_OR_PASSWORD, Reason.NOT_AUTHORIZED)
_NEXT = "see that the claim is right, not used and not expired, and that --ca is that platform's ca.pem"


class _Answer(msgspec.Struct, frozen=True):
    tenant: TenantId = TenantId("")
    device: DeviceId = DeviceId("")
    token: str = ""
    certificate: str = ""
    ca: str = ""
    error: str = ""
    detail: str = ""
    hint: str = ""


def join(directory: Path, host: str, port: int, ca: Path, claim: str) -> Membership:
    """Redeem the claim and keep what came of it. `Refused` or `Failed` where it does not work; nothing but the key is
    kept then, and the same command can be given again.
    """
    files = files_in(directory)
    if files.membership.exists():
        raise Refused(
            "already_exists",
            f"the gateway in {directory} has joined a platform already; nothing was changed",
            f"to join another one, take a new directory; or stop it, then remove {files.membership.parent} and"
            " `documents` (its buffer stays, and is sealed)",
        )
    refuse_leftovers(directory)
    files.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = _key(files.key)
    try:
        context = client_context(ca)
    except OSError as error:
        raise Refused(
            "invalid_request", f"{ca} can not be read as a CA certificate: {error}", "bring its ca.pem"
        ) from error
    target = Target(host, port, ClientSettings("claimant", "claim", claim.encode()), context)
    answer = asyncio.run(_redeem(target, _request(key)))
    if not _is_ours(answer.certificate, key):
        raise Failed("internal", "the platform's certificate is not for our key; nothing was kept", "try another claim")
    membership = Membership(host, port, answer.tenant, answer.device, answer.token)
    write_durably(files.ca, answer.ca.encode() or ca.read_bytes())
    write_durably(files.cert, answer.certificate.encode())
    write_durably(files.membership, msgspec.json.encode(membership))
    return membership


async def _redeem(target: Target, csr: str) -> _Answer:
    """Sign in with the claim, ask, and hear the answer."""
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def heard(_: str, payload: bytes) -> None:
        if not answered.done():
            answered.set_result(payload)

    uplink = MqttUplink(
        lambda: target,
        "",
        ("provision/answer",),
        listener=heard,
        on_change=lambda: None,
        rng=Random(),  # noqa: S311
    )
    running = asyncio.ensure_future(uplink.run())
    try:
        async with asyncio.timeout(JOIN_S_MAX):
            while not uplink.is_up:
                await uplink.news()
                if uplink.refusal in _FINAL:
                    raise Refused("bad_credentials", f"the platform refused the claim: {uplink.trouble}", _NEXT)
            await uplink.send("provision", msgspec.json.encode({"csr": csr}))
            answer = msgspec.json.decode(await answered, type=_Answer)
    except TimeoutError as error:
        raise Failed(
            "unavailable",
            f"no answer from {target.host}:{target.port} within {JOIN_S_MAX:g} s: {uplink.trouble or 'connected'}",
            _NEXT,
        ) from error
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    if answer.error:
        raise Refused("bad_credentials", answer.detail or answer.error, answer.hint)
    return answer


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The gateway's key: that of an earlier attempt, or a new one, kept before it is used."""
    if path.exists():
        kept = load_pem_private_key(path.read_bytes(), None)
        if isinstance(kept, ec.EllipticCurvePrivateKey):
            return kept
        raise Failed("storage_failed", f"{path} is no EC key; nothing was changed", "remove it and join again")
    key = ec.generate_private_key(ec.SECP256R1())
    write_durably(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def _request(key: ec.EllipticCurvePrivateKey) -> str:
    """A certificate request (PKCS #10, RFC 2986). The platform decides on the names."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    return x509.CertificateSigningRequestBuilder(name).sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def _is_ours(certificate: str, key: ec.EllipticCurvePrivateKey) -> bool:
    try:
        public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except ValueError:
        return False
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public.public_bytes(*form) == key.public_key().public_bytes(*form)
