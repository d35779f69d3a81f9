"""Membership: which platform this gateway belongs to and who it is there, kept in `<edge.dir>/identity/`.

| file | what it is |
|---|---|
| `membership.json` | platform, tenant, device id, and the token of the MQTT sign-in |
| `gateway.key`, `gateway.pem` | the gateway's own key and the certificate that the platform's CA made for it |
| `ca.pem` | the platform's CA: the uplink trusts this one and no other |
"""

from pathlib import Path

import msgspec

from ringmain.model.errors import Failed
from ringmain.model.ids import DeviceId, TenantId

DIRECTORY = "identity"


class Membership(msgspec.Struct, frozen=True):
    """What joining came to. Without a `token` the certificate alone signs in."""

    host: str
    port: int
    tenant: TenantId
    device: DeviceId
    token: str = ""

    def __repr__(self) -> str:
        """Without the token, which must not reach a log."""
        return f"Membership({self.tenant}/{self.device} at {self.host}:{self.port})"


class Files(msgspec.Struct, frozen=True):
    """Where the parts lie."""

    membership: Path
    key: Path
    cert: Path
    ca: Path


def files_in(edge_dir: Path) -> Files:
    """The files of an edge's directory, whether or not they are there."""
    folder = edge_dir / DIRECTORY
    return Files(folder / "membership.json", folder / "gateway.key", folder / "gateway.pem", folder / "ca.pem")


def load(edge_dir: Path) -> Membership:
    """The membership. `Failed("unavailable")` where this gateway has not joined yet."""
    files = files_in(edge_dir)
    try:
        membership = msgspec.json.decode(files.membership.read_bytes(), type=Membership)
    except FileNotFoundError as error:
        raise Failed(
            "unavailable",
            f"the gateway in {edge_dir} belongs to no platform yet; nothing was started",
            "make a claim on the platform (`ringmain device claim ID`), then"
            " `ringmain edge join --platform HOST:PORT --ca FILE --claim CLAIM`",
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise Failed(
            "storage_failed",
            f"{files.membership} can not be read: {error}; nothing was changed",
            "restore it from a backup, or remove the directory `identity` and join again with a new claim",
        ) from error
    missing = [path.name for path in (files.key, files.cert, files.ca) if not path.is_file()]
    if missing:
        raise Failed(
            "storage_failed",
            f"{', '.join(missing)} missing in {files.key.parent}; nothing was started",
            "restore them from a backup, or remove the directory `identity` and join again with a new claim",
        )
    return membership
