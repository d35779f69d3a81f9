"""The books of an edge: every reading that came in is in one line, also after a restart."""

from ringmain.adapters.simulated.blobs import SimulatedBlobs
from ringmain.adapters.simulated.buffer import SimulatedBuffer
from ringmain.apps.edge.books import DOCUMENT, EdgeBooks
from ringmain.gateway.intake import Committed
from ringmain.model.batch import FORMAT, Batch, DeadLetter, Rejection, block_of, encode_batch
from ringmain.model.ids import DeviceId, DeviceKey, Offset
from ringmain.ports.buffer import DROPPED_LETTERS, Dropped

BATCH = Batch(
    FORMAT,
    0,
    (block_of(("a_wh",), [1, 1, 1], [1, 2, 3], [1, 2, 3], exact=True),),
    (DeadLetter(DeviceKey(1), 0, "mqtt", "t", b"x", "undecodable_payload", ""),),
    (Rejection(DeviceKey(1), "unknown_topic", 2), Rejection(DeviceKey(1), "foreign_device", 1)),
)


def lines(books: EdgeBooks, buffer: SimulatedBuffer) -> dict[tuple[str, str], int]:
    return {(row.outcome, row.reason): row.count for row in books.counts(buffer.status())}


async def test_received_is_all_that_became_of_it():
    buffer, books = SimulatedBuffer(), EdgeBooks(SimulatedBlobs())
    await buffer.append(encode_batch(BATCH))
    books.committed(Committed(BATCH, 5, 0.0))
    books.dropped(4)
    books.refused("bad_credentials")
    await buffer.append(encode_batch(BATCH))
    books.committed(Committed(BATCH, 5, 0.0))
    await buffer.settle([Offset(1)])
    await buffer.replace([Offset(2)], [], [Dropped(DeviceId("m"), "drop_oldest", 3)])
    found = lines(books, buffer)
    assert found.pop(("sign_in_refused", "bad_credentials")) == 1
    received = found.pop(("received", ""))
    assert found == {
        ("forwarded", ""): 3,
        ("buffered", ""): 0,
        ("dead_letter", ""): 2,
        ("dropped", "drop_oldest"): 3,
        ("dropped", "qos0_no_room"): 4,
        ("rejected", "foreign_device"): 2,
        ("rejected", "unknown_topic"): 4,
    }
    assert received == sum(found.values())


async def test_dead_letters_that_were_dropped_are_no_longer_said_to_go_up():
    buffer, books = SimulatedBuffer(), EdgeBooks(SimulatedBlobs())
    for _ in range(2):
        await buffer.append(encode_batch(BATCH))
        books.committed(Committed(BATCH, 5, 0.0))
    letters = Dropped(DeviceId("m"), DROPPED_LETTERS, 1)
    await buffer.replace([Offset(2)], [], [Dropped(DeviceId("m"), "drop_oldest", 3), letters])
    found = lines(books, buffer)
    assert (found["dead_letter", ""], found["dropped", DROPPED_LETTERS], found["dropped", "drop_oldest"]) == (1, 1, 3)
    assert found.pop(("received", "")) == sum(found.values())
    after_a_crash = lines(EdgeBooks(SimulatedBlobs()), buffer)
    assert after_a_crash.pop(("received", "")) == sum(after_a_crash.values()), "that forgot the last letters"


async def test_refusals_are_kept_over_a_restart():
    blobs, buffer = SimulatedBlobs(), SimulatedBuffer()
    books = EdgeBooks(blobs)
    books.committed(Committed(BATCH, 5, 0.0))
    await books.keep()
    again = EdgeBooks(blobs)
    await again.load()
    assert lines(again, buffer) == lines(books, buffer)
    blobs.documents[DOCUMENT] = b"nonsense"
    fresh = EdgeBooks(blobs)
    await fresh.load()
    assert lines(fresh, buffer)["received", ""] == 0


async def test_nothing_is_written_where_nothing_changed():
    blobs = SimulatedBlobs()
    books = EdgeBooks(blobs)
    await books.keep()
    first = blobs.documents.pop(DOCUMENT)
    await books.keep()
    assert DOCUMENT not in blobs.documents
    books.dropped(1)
    await books.keep()
    assert blobs.documents[DOCUMENT] != first
