"""Binding: the documents of an edge belong to one membership. A roster, settings and names of another gateway, tenant
or platform say things that are not true here, however alike their versions look.

It must never let a gateway start with the documents of another one, nor join where some are left.
"""

import hashlib
import logging
from pathlib import Path

import msgspec

from ringmain.adapters.embedded.buffer_rows import raw_rows_held
from ringmain.apps.edge.membership import Membership
from ringmain.model.errors import Failed, Refused
from ringmain.model.ids import DeviceId, TenantId
from ringmain.ports.blobs import Blobs

log = logging.getLogger(__name__)

DOCUMENT, DOCUMENTS, BUFFER = "owner.json", "documents", "buffer.sqlite"

_WAY_OUT = (
    "to go on with that gateway put its `identity` back; to be another one start and stop it once more, so that"
    " everything is sealed, then remove `documents` (its roster, names, settings and books)"
)


class Owner(msgspec.Struct, frozen=True):
    """Whose documents they are; the platform is known by its CA."""

    tenant: TenantId
    device: DeviceId
    ca_sha256: str


def owner_of(membership: Membership, ca: Path) -> Owner:
    """What a gateway of that membership writes into them."""
    return Owner(membership.tenant, membership.device, hashlib.sha256(ca.read_bytes()).hexdigest())


async def bind(blobs: Blobs, owner: Owner) -> None:
    """Say whose the documents are, where that is not said yet; `Failed` where they are another one's."""
    body = await blobs.get(DOCUMENT)
    if body is None:
        try:
            await blobs.put(DOCUMENT, msgspec.json.encode(owner))
        except Failed as failed:
            log.warning("%s could not be written: %s; it will be at the next start", DOCUMENT, failed.detail)
        return
    try:
        found = msgspec.json.decode(body, type=Owner)
    except msgspec.DecodeError as error:
        raise Failed("storage_failed", f"{DOCUMENT} can not be read: {error}; nothing was changed", _WAY_OUT) from error
    if found != owner:
        whose = f"{found.tenant}/{found.device}"
        other = "another platform" if whose == f"{owner.tenant}/{owner.device}" else f"gateway {whose}"
        raise Failed("storage_failed", f"the documents of this edge are of {other}; nothing was started", _WAY_OUT)


def refuse_leftovers(directory: Path) -> None:
    """`Refused` where a former membership has left what a new one would misread. Sealed rows are none of that: they
    name their devices themselves, and the platform takes what is delegated.
    """
    raw = raw_rows_held(directory / BUFFER)
    if raw is None or raw:
        what = "can not be looked into" if raw is None else f"holds {raw} rows that need the names in `documents`"
        raise Refused("already_exists", f"the buffer in {directory} {what}; nothing was changed", _WAY_OUT)
    documents = directory / DOCUMENTS
    if documents.is_dir() and any(documents.iterdir()):
        raise Refused("already_exists", f"{documents} is of a former membership; nothing was changed", _WAY_OUT)
