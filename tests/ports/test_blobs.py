"""The contract of blobs, over every home: a document is the old one or the new one."""

import pytest

from ringmain.adapters.embedded.blobs import EmbeddedBlobs
from ringmain.adapters.simulated.blobs import SimulatedBlobs


@pytest.fixture(params=["embedded", "simulated"])
def blobs(request, tmp_path):
    return EmbeddedBlobs(tmp_path / "documents") if request.param == "embedded" else SimulatedBlobs()


async def test_a_document_is_replaced_as_a_whole(blobs):
    assert await blobs.get("a.json") is None
    await blobs.put("a.json", b"x" * 100_000)
    await blobs.put("b.json", b"other")
    await blobs.put("a.json", b"short")
    assert await blobs.get("a.json") == b"short"
    assert await blobs.get("b.json") == b"other"


async def test_removing_may_be_done_twice(blobs):
    await blobs.put("a.json", b"")
    assert await blobs.get("a.json") == b""
    await blobs.remove("a.json")
    await blobs.remove("a.json")
    assert await blobs.get("a.json") is None
