"""`ringmain gateway`: what is wrong changes nothing, and single keys are changed without losing the others."""

import json

import msgspec
import pytest

from ringmain.apps.cli.exits import Exit
from ringmain.apps.cli.main import run
from ringmain.model.gateway import GatewaySettings

ONE = "/api/v1/gateways/gw%201"
SETTINGS = json.loads(msgspec.json.encode(GatewaySettings(keep_alive_s=30)))


def bodies(platform, method):
    return [json.loads(body) for said, _, _, body in platform.requests if said == method]


@pytest.mark.parametrize("assignment", ["keep_alive_s", "=3", "keepalive=3", "keep_alive_s=soon", "keep_alive_s=", "x"])
def test_what_is_no_key_and_value_asks_the_platform_nothing(assignment, platform, capsys):
    assert run(["gateway", "settings", "gw 1", "policy=reject", assignment]) == Exit.USAGE
    assert "nothing was changed" in capsys.readouterr().err
    assert not platform.requests


def test_settings_that_the_platform_refuses_are_told_with_their_place(platform, capsys):
    platform.answers["GET", ONE + "/settings"] = (200, {"version": 3, "settings": SETTINGS})
    platform.answers["PUT", ONE + "/settings"] = (422, {"detail": "Expected `int` >= 5.", "path": "$.keep_alive_s"})
    assert run(["gateway", "settings", "gw 1", "keep_alive_s=1"]) == Exit.REFUSED
    assert "Expected `int` >= 5. (at $.keep_alive_s)" in capsys.readouterr().err


def test_single_keys_are_changed_and_the_others_stay(platform, capsys):
    platform.answers["GET", ONE + "/settings"] = (200, {"version": 3, "settings": SETTINGS})
    platform.answers["PUT", ONE + "/settings"] = (201, {"version": 4, "settings": SETTINGS})
    words = ["answer_s=60", "windows=15m,1h", "policy=drop_oldest", "platform_host=example.org"]
    assert run(["gateway", "settings", "gw 1", *words, "-o", "json"]) == Exit.OK
    assert bodies(platform, "PUT") == [
        {**SETTINGS, "answer_s": 60, "windows": ["15m", "1h"], "policy": "drop_oldest", "platform_host": "example.org"}
    ]
    assert json.loads(capsys.readouterr().out)["version"] == 4


def test_without_changes_they_are_only_shown(platform, capsys):
    platform.answers["GET", ONE + "/settings"] = (200, {"version": 3, "settings": SETTINGS})
    assert run(["gateway", "settings", "gw 1"]) == Exit.OK
    assert "keep_alive_s" in capsys.readouterr().out
    assert [method for method, *_ in platform.requests] == ["GET"]


def test_delegate_and_undelegate(platform, capsys):
    platform.answers["PUT", ONE + "/delegations"] = (200, {"put": 2, "delegated": 5})
    assert run(["gateway", "delegate", "gw 1", "m1", "m2", "--from", "2026-01-01T00:00:00Z"]) == Exit.OK
    assert bodies(platform, "PUT") == [{"devices": ["m1", "m2"], "from": "2026-01-01T00:00:00Z"}]
    ended = {"items": [{"device": "m/1", "state": "active", "from": None, "to": "2026-01-02T00:00:00Z"}], "next": None}
    platform.answers["DELETE", ONE + "/delegations/m%2F1"] = (200, ended)
    capsys.readouterr()
    assert run(["gateway", "undelegate", "gw 1", "m/1", "m2", "-o", "csv"]) == Exit.REFUSED
    assert "m/1,active,,2026-01-02T00:00:00Z" in capsys.readouterr().out, "what was done before the refusal is shown"
    assert run(["gateway", "undelegate", "gw 1", "m/1", "--at", "2026-01-02T00:00:00Z"]) == Exit.OK
    assert platform.requests[-1][1].endswith("/delegations/m%2F1?at=2026-01-02T00%3A00%3A00Z")


def test_list_and_show(platform, capsys):
    summary = {"id": "gw 1", "state": "active", "session": "online", "delegated": 2, "report": None}
    platform.answers["GET", "/api/v1/gateways"] = (200, {"items": [summary], "next": None})
    platform.answers["GET", ONE] = (200, summary)
    platform.answers["GET", ONE + "/settings"] = (200, {"version": 3, "settings": SETTINGS})
    platform.answers["GET", ONE + "/delegations"] = (200, {"items": [{"device": "m1"}], "next": None})
    assert run(["gateway", "list", "-o", "jsonl"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["id"] == "gw 1"
    assert run(["gateway", "show", "gw 1", "-o", "json"]) == Exit.OK
    shown = json.loads(capsys.readouterr().out)
    assert (shown["delegations"], shown["settings"]) == ([{"device": "m1"}], SETTINGS)
