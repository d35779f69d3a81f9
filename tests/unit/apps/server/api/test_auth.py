"""Authentication: everything that is not a valid token of a user proves nobody."""

import pytest

from ringmain.apps.server.api.auth import authenticator
from ringmain.model.ids import DeviceKey, TenantId
from ringmain.ports.credentials import Holder, Role
from ringmain.services.lifecycle.tokens import TokenDigest

DIGEST = TokenDigest(b"p" * 32)
USER = Holder(TenantId("acme"), "admin", role=Role.ADMIN)


class Tokens:
    """Credentials in a dict, or broken."""

    def __init__(self, *, error: Exception | None = None) -> None:
        self.error = error
        self.held = {
            DIGEST.of("user"): USER,
            DIGEST.of("device"): Holder(TenantId("acme"), "meter-1", device=DeviceKey(1)),
            DIGEST.of("both"): Holder(TenantId("acme"), "odd", device=DeviceKey(1), role=Role.ADMIN),
            DIGEST.of("neither"): Holder(TenantId("acme"), "odd"),
        }

    async def holder(self, digest: bytes) -> Holder | None:
        if self.error:
            raise self.error
        return self.held.get(digest)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "user",
        "Basic user",
        "Bearer other",
        "Bearer device",
        "Bearer both",
        "Bearer neither",
        "Bearer user\x00",
        "Bearer \ud800",
        "Bearer " + "x" * 257,
        "Bearer user user",
    ],
)
async def test_whatever_is_no_users_token_proves_nobody(header):
    assert await authenticator(Tokens(), DIGEST)(header) is None


@pytest.mark.parametrize("error", [OSError("disk"), ValueError("x"), KeyError("x"), RuntimeError("x")])
async def test_a_fault_while_checking_is_a_refusal_and_is_logged_without_the_token(error, caplog):
    assert await authenticator(Tokens(error=error), DIGEST)("Bearer user") is None
    assert "could not be checked" in caplog.text
    assert "Bearer user" not in caplog.text


@pytest.mark.parametrize("header", ["Bearer user", "bearer user", "BEARER  user "])
async def test_a_users_token_is_its_holder(header):
    assert await authenticator(Tokens(), DIGEST)(header) == USER
