"""Documents of another membership are not used, and none is joined beside them."""

import pytest

from ringmain.adapters.embedded.blobs import EmbeddedBlobs
from ringmain.adapters.embedded.buffer import EmbeddedBuffer
from ringmain.adapters.simulated.blobs import SimulatedBlobs
from ringmain.apps.edge import join as joining
from ringmain.apps.edge.binding import BUFFER, DOCUMENTS, bind, owner_of, refuse_leftovers
from ringmain.apps.edge.membership import Membership
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.errors import Failed, Refused
from ringmain.model.ids import DeviceId, TenantId
from ringmain.ports.buffer import SealedRow


def owner(tmp_path, tenant: str = "town", device: str = "gw", ca: bytes = b"ours"):
    path = tmp_path / "ca.pem"
    path.write_bytes(ca)
    return owner_of(Membership("platform", 8883, TenantId(tenant), DeviceId(device)), path)


async def test_documents_are_bound_once_and_found_again(tmp_path):
    blobs = SimulatedBlobs()
    for _ in range(2):
        await bind(blobs, owner(tmp_path))
    assert list(blobs.documents) == ["owner.json"]


@pytest.mark.parametrize("other", [{"tenant": "village"}, {"device": "gw2"}, {"ca": b"of another platform"}])
async def test_documents_of_another_one_are_not_used(tmp_path, other):
    blobs = SimulatedBlobs()
    await bind(blobs, owner(tmp_path, **other))
    with pytest.raises(Failed, match="the documents of this edge are of") as failed:
        await bind(blobs, owner(tmp_path))
    assert "put its `identity` back" in failed.value.hint


async def test_what_can_not_be_read_is_not_taken_for_ours(tmp_path):
    blobs = SimulatedBlobs()
    await blobs.put("owner.json", b"{")
    with pytest.raises(Failed, match="can not be read"):
        await bind(blobs, owner(tmp_path))


async def test_a_full_disk_does_not_keep_a_gateway_from_its_own_documents(tmp_path):
    blobs = SimulatedBlobs()
    blobs.fault = Failed("storage_full", "no room")
    await bind(blobs, owner(tmp_path))


async def test_a_new_membership_needs_a_buffer_that_is_sealed_and_no_documents(tmp_path):
    refuse_leftovers(tmp_path)
    buffer = await EmbeddedBuffer.open(tmp_path / BUFFER)
    offset = await buffer.append(encode_batch(Batch(FORMAT, 0, (block_of(("e",), [1], [1], [1], exact=True),))))
    await buffer.close()
    with pytest.raises(Refused, match="holds 1 rows that need the names"):
        refuse_leftovers(tmp_path)
    buffer = await EmbeddedBuffer.open(tmp_path / BUFFER)
    await buffer.replace([offset], [SealedRow(1, 1, 1, b"chunk")], ())
    await buffer.close()
    refuse_leftovers(tmp_path)
    await EmbeddedBlobs(tmp_path / DOCUMENTS).put("roster.json", b"{}")
    with pytest.raises(Refused, match="of a former membership"):
        joining.join(tmp_path, "platform", 8883, tmp_path / "ca.pem", "rmc_claim")
    assert not (tmp_path / "identity").exists(), "no key was made"


def test_a_buffer_that_can_not_be_looked_into_is_not_taken_for_empty(tmp_path):
    (tmp_path / BUFFER).write_bytes(b"no database" * 500)
    with pytest.raises(Refused, match="can not be looked into"):
        refuse_leftovers(tmp_path)
