"""The scene: what has to be on the platform before the homes may speak, and what may come while they do.

Everything goes through the public API, and everything may be done again: a start that was interrupted goes on.
"""

import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ringmain.adapters.embedded.blobs import write_durably
from ringmain.apps.demo import plan
from ringmain.apps.demo.plan import TOKENS, Kept, Options
from ringmain.apps.lab.api import Api, ApiError
from ringmain.metering.canonical import canonical
from ringmain.metering.data import tariff_file
from ringmain.metering.tariff_file import read_tariff
from ringmain.model.time import format_rfc3339
from ringmain.services.lifecycle.tokens import new_token


class _Tenant(msgspec.Struct, frozen=True):
    tenant: str
    token: str


class _Token(msgspec.Struct, frozen=True):
    token: str


class _Claim(msgspec.Struct, frozen=True):
    claim: str


class _Device(msgspec.Struct, frozen=True):
    state: str


def home(number: int) -> str:
    """The id of a home's meter, usage point and account."""
    return f"home-{number:04d}"


def new_street(options: Options) -> Kept:
    """What a new street begins with: when it begins, and a token of each meter in a file for the simulator, before
    the platform hears of any of them.
    """
    path = options.storage_dir / TOKENS
    if not path.exists():
        lines = "".join(f"{home(number)},{new_token()}\n" for number in range(1, options.homes + 1))
        write_durably(path, f"id,token\n{lines}".encode())
    homes = len(path.read_text(encoding="ascii").splitlines()) - 1
    return Kept("", "", plan.first_instant(time.time_ns() // 1_000_000), homes, options.seed)


def prepare(operator: Api, port: int, options: Options, kept: Kept) -> tuple[Kept, Api]:
    """Tenant, profile and meters; what is kept of it, and the tenant's API."""
    if not kept.tenant_token:
        kept = msgspec.structs.replace(kept, tenant_token=_tenant_token(operator))
        plan.keep(options.storage_dir, kept)
    api = Api(port, kept.tenant_token)
    api.raw("PUT", "/api/v1/sites/main", {"zone": plan.ZONE})
    if not kept.hello_token:
        put_profile(api, options.speed)
        _meters(api, options)
        kept = msgspec.structs.replace(kept, hello_token=_hello(api))
        plan.keep(options.storage_dir, kept)
    return kept, api


def _tenant_token(operator: Api) -> str:
    try:
        return operator.send("POST", "/api/v1/tenants", _Tenant, {"id": plan.TENANT}).token
    except ApiError as error:
        if error.status != http.client.CONFLICT:
            raise
    return operator.send("POST", f"/api/v1/tenants/{plan.TENANT}/tokens", _Tenant).token


def put_profile(api: Api, speed: float) -> None:
    """The profile of the homes' meters: how often one is expected to report, in real seconds."""
    expected_s = max(5, round(plan.INTERVAL_S / speed * 2))
    channels = [
        {"name": "energy_wh", "unit": "Wh", "kind": "exact", "obis": "1-0:1.29.0"},
        {"name": "import_wh", "unit": "Wh", "kind": "exact", "obis": "1-0:1.8.0"},
        {"name": "power_w", "unit": "W", "kind": "measured", "obis": "1-0:1.7.0"},
    ]
    body = {"expected_interval_s": expected_s if speed > 1 else plan.INTERVAL_S, "channels": channels}
    api.raw("PUT", f"/api/v1/profiles/{plan.PROFILE}", body)


def _meters(api: Api, options: Options) -> None:
    """The meters of the homes, active, with the tokens of the file."""
    rows = [line.split(",") for line in (options.storage_dir / TOKENS).read_text(encoding="ascii").splitlines()[1:]]
    text = "".join(f"{id_},{plan.PROFILE},{token}\n" for id_, token in rows)
    api.upload("/api/v1/devices/import", f"id,profile,token\n{text}", "text/csv")


def _hello(api: Api) -> str:
    """A device of the user's own, for the line in the banner."""
    try:
        api.raw("POST", "/api/v1/devices", {"id": plan.HELLO, "profile": "generic", "site": "main"})
    except ApiError as error:
        if error.status != http.client.CONFLICT:
            raise
    if api.get(f"/api/v1/devices/{plan.HELLO}", _Device).state != "registered":
        return api.send("POST", f"/api/v1/devices/{plan.HELLO}/token", _Token).token
    token = api.send("POST", f"/api/v1/devices/{plan.HELLO}/provision", _Token).token
    api.raw("POST", f"/api/v1/devices/{plan.HELLO}/activate")
    return token


def gateway_claim(api: Api, homes: int) -> str:
    """The gateway with its delegations and settings; the claim by which it joins."""
    try:
        api.raw("POST", "/api/v1/devices", {"id": plan.GATEWAY, "profile": "gateway", "site": "main"})
    except ApiError as error:
        if error.status != http.client.CONFLICT:
            raise
    claim = api.send("POST", f"/api/v1/devices/{plan.GATEWAY}/claims", _Claim, {}).claim
    devices = [home(number) for number in range(1, homes + 1)]
    api.raw("PUT", f"/api/v1/gateways/{plan.GATEWAY}/delegations", {"devices": devices})
    settings = {"send_every_ms": 250, "keep_alive_s": 5, "answer_s": 3, "backlog_bytes_s": 200_000, "report_every_s": 5}
    api.raw("PUT", f"/api/v1/gateways/{plan.GATEWAY}/settings", settings)
    return claim


def accounts(api: Api, kept: Kept) -> Iterator[None]:
    """Tariffs, then a usage point, an installation and an account for each home: one home a step, so that the view
    goes on meanwhile. The last home's account stands for all: it is made last.
    """
    if _exists(api, f"/api/v1/accounts/{home(kept.homes)}"):
        return
    for name in plan.TARIFFS:
        tariff = read_tariff(tariff_file(name).read_bytes(), f"{name}.toml")
        api.raw("PUT", f"/api/v1/tariffs/{tariff.id}", msgspec.Raw(canonical(tariff)))
    since = format_rfc3339(kept.began_ms)
    for number in range(1, kept.homes + 1):
        id_ = home(number)
        api.raw("PUT", f"/api/v1/usage-points/{id_}", {"id": id_})
        link = {"device": id_, "channel": "energy_wh", "from": since}
        api.raw("PUT", f"/api/v1/installations/{id_}", {"usage_point": id_, "links": [link]})
        tariff_id = plan.TARIFFS[number % len(plan.TARIFFS)]
        api.raw("PUT", f"/api/v1/accounts/{id_}", {"id": id_, "usage_point": id_, "tariff": tariff_id})
        yield


def _exists(api: Api, path: str) -> bool:
    try:
        api.raw("GET", path)
    except ApiError as error:
        if error.status == http.client.NOT_FOUND:
            return False
        raise
    return True


class _Latest(msgspec.Struct, frozen=True):
    channel: str
    at: str


class _Items(msgspec.Struct, frozen=True):
    items: list[_Latest]


def last_stamps(api: Api, kept: Kept, path: Path) -> bool:
    """Write where each home's readings end on the platform, for the simulator; False where there are none yet."""
    rows = []
    for number in range(1, kept.homes + 1):
        found = api.get(f"/api/v1/devices/{home(number)}/latest", _Items).items
        stamps = [each.at for each in found if each.channel == "energy_wh"]
        if stamps:
            rows.append(f"{home(number)},{stamps[0]}\n")
    path.write_text("id,last\n" + "".join(rows), encoding="ascii")
    return bool(rows)
