"""`ringmain tls`: what the platform says is shown, and its refusal is ours."""

from ringmain.apps.cli.exits import Exit
from ringmain.apps.cli.main import run

PATH = ("POST", "/api/v1/platform/tls/reload")


def test_what_is_in_force_is_shown(platform, capsys) -> None:
    platform.answers[PATH] = (200, {"certificate": "CN=front", "expires": "2027-01-01T00:00:00Z", "revoked": 2})
    assert run(["tls", "reload"]) == Exit.OK
    assert "CN=front" in capsys.readouterr().out
    assert [request[:2] for request in platform.requests] == [PATH]


def test_a_refusal(platform, capsys) -> None:
    platform.answers[PATH] = (422, {"detail": "tls.pem is of no use", "hint": "put a sound file there"})
    assert run(["tls", "reload"]) == Exit.REFUSED
    assert "tls.pem is of no use" in capsys.readouterr().err
