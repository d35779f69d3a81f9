"""Authentication of the API's users: a bearer token (RFC 6750) becomes the holder it belongs to, or nobody.

The tenant and the role come from here and from nowhere else. A device's token proves nobody: it is for telemetry.
"""

import logging

from ringmain.apps.server.api.kit.serving import Authenticate
from ringmain.ports.credentials import Credentials, Holder
from ringmain.services.lifecycle.tokens import TokenDigest, is_token

_log = logging.getLogger(__name__)


def authenticator(credentials: Credentials, tokens: TokenDigest) -> Authenticate:
    """The check that every route with a role asks first."""

    async def authenticate(header: str) -> Holder | None:
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not is_token(token):
            return None
        try:
            holder = await credentials.holder(tokens.of(token))
        except Exception:  # noqa: BLE001 - whatever goes wrong here, the door stays shut
            _log.exception("a token could not be checked; the request is refused")
            return None
        return None if holder is None or holder.device is not None or holder.role is None else holder

    return authenticate
