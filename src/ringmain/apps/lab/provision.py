"""What the lab sets up before the first reading, through the public API alone: tenant, site, meter, place,
two accounts on two tariffs. It must never remove anything: where an earlier lab was, it takes a new tenant.
"""

import http.client
from collections.abc import Mapping

import msgspec

from ringmain.apps.lab.api import Api, ApiError
from ringmain.metering.canonical import canonical
from ringmain.metering.data import tariff_file
from ringmain.metering.tariff_file import read_tariff

DEVICE = "lab-meter"
CHANNEL = "energy_wh"
GATEWAY = "lab-edge"
USAGE_POINT = "lab-home"
FLAT_ACCOUNT, TOU_ACCOUNT = "lab-flat", "lab-tou"
TARIFFS = {FLAT_ACCOUNT: "lcl-flat", TOU_ACCOUNT: "lcl-time-of-use"}
"""Each account's tariff: its file in `metering/data`, and its id."""

TENANT = "lab"
TENANTS_MAX = 1_000
"""Labs in one directory. Beyond it somebody runs them in a loop and wants a directory of their own."""


class Tenant(msgspec.Struct, frozen=True):
    """A tenant and its administrator's token."""

    tenant: str
    token: str


class Provisioned(msgspec.Struct, frozen=True):
    """What the meter and the judge need to know."""

    tenant: Tenant
    meter_user: str
    meter_token: str


class _Provisioning(msgspec.Struct):
    token: str


def new_tenant(operator: Api) -> Tenant:
    """`lab`, or the first of `lab-2`, `lab-3`, … that nobody has used."""
    for number in range(1, TENANTS_MAX + 1):
        name = TENANT if number == 1 else f"{TENANT}-{number}"
        try:
            return operator.send("POST", "/api/v1/tenants", Tenant, {"id": name})
        except ApiError as error:
            if error.status != http.client.CONFLICT:
                raise
    raise ApiError(
        http.client.CONFLICT,
        f"tenants {TENANT} to {TENANT}-{TENANTS_MAX} are all taken",
        "give the lab another directory, or leave --keep out",
    )


def provision(operator: Api, port: int, zone: str, from_: str) -> Provisioned:
    """Everything between an empty platform and a meter that may speak. `from_` is when the meter was installed."""
    tenant = new_tenant(operator)
    api = Api(port, tenant.token)
    try:
        api.raw("PUT", "/api/v1/sites/main", {"zone": zone})
        api.raw("POST", "/api/v1/devices", {"id": DEVICE, "profile": "meter", "site": "main"})
        token = api.send("POST", f"/api/v1/devices/{DEVICE}/provision", _Provisioning).token
        api.raw("POST", f"/api/v1/devices/{DEVICE}/activate")
        api.raw("PUT", f"/api/v1/usage-points/{USAGE_POINT}", {"id": USAGE_POINT})
        link = {"device": DEVICE, "channel": CHANNEL, "from": from_}
        api.raw("PUT", f"/api/v1/installations/{USAGE_POINT}", {"usage_point": USAGE_POINT, "links": [link]})
        for account, name in TARIFFS.items():
            tariff = read_tariff(tariff_file(name).read_bytes(), f"{name}.toml")
            api.raw("PUT", f"/api/v1/tariffs/{tariff.id}", msgspec.Raw(canonical(tariff)))
            body = {"id": account, "usage_point": USAGE_POINT, "tariff": tariff.id}
            api.raw("PUT", f"/api/v1/accounts/{account}", body)
    finally:
        api.close()
    return Provisioned(tenant, f"{tenant.tenant}/{DEVICE}", token)


class _Claim(msgspec.Struct):
    claim: str


def gateway(port: int, token: str, settings: Mapping[str, object]) -> str:
    """A gateway that may speak for the meter, with these settings; the claim by which it joins."""
    api = Api(port, token)
    try:
        api.raw("POST", "/api/v1/devices", {"id": GATEWAY, "profile": "gateway", "site": "main"})
        claim = api.send("POST", f"/api/v1/devices/{GATEWAY}/claims", _Claim, {}).claim
        api.raw("PUT", f"/api/v1/gateways/{GATEWAY}/delegations", {"devices": [DEVICE]})
        api.raw("PUT", f"/api/v1/gateways/{GATEWAY}/settings", settings)
    finally:
        api.close()
    return claim
