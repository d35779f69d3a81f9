"""Nothing is acknowledged before the sync that covers it, at QoS 1 and 2, on the open door and on the platform's own:
seen from outside, in the system calls of the platform.

Every message and every filter carries a mark of its own. Who keeps a session has them in its records, and so the write
that put a mark into the log's WAL can be recognised; readings are recognised by their stamps, as `test_ack_order.py`
does it. PUBCOMP and PUBREL follow from a record that is taken away or changed, which leaves no mark: there a sync has
to begin after the packet that they answer was read, and to end before they are written.
"""

import asyncio
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from tests.campaigns.evidence import PROVE, record
from tests.campaigns.mqtt_peers import (
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    UNSUBACK,
    Peer,
    Publisher,
    Sent,
    Subscriber,
    packet,
    packets,
    text,
)
from tests.campaigns.syscalls import Call, read_calls, traced
from tests.campaigns.test_ack_order import SPLIT_MAX, stamps
from tests.e2e.platform_process import PlatformProcess

MESSAGES = 1250 if PROVE else 120
FILTERS = 400 if PROVE else 40
PUBLISHERS, DEVICES = 6, 2
WINDOW = 5
BASE_MS, STEP_MS, SPAN_MS = 1_767_225_600_000, 1000, 10_000_000
DEVICE, TOKEN = "order-%d", "token-of-order-%d-0123456789abcdef0123456789abcdef"
WEAKENED = {"RINGMAIN_STORAGE__SYNCHRONOUS": "off", "RINGMAIN_UNSAFE_TEST": "1"}
SUBSCRIBE, UNSUBSCRIBE = 8, 10

_MARK = re.compile(rb"<\d{8}>")
_STAMP = re.compile(rb'"ts":(\d{13})')
_SENDING = ("write", "writev", "sendto", "sendmsg")
_RECEIVING = ("read", "readv", "recvfrom", "recvmsg")
_ANSWERS = {PUBACK: PUBLISH, PUBREC: PUBLISH, PUBCOMP: PUBREL, SUBACK: SUBSCRIBE, UNSUBACK: UNSUBSCRIBE, PUBREL: PUBREC}
"""What the platform says, and what it says it to."""

_NAMES = {PUBACK: "puback", PUBREC: "pubrec", PUBCOMP: "pubcomp", SUBACK: "suback", UNSUBACK: "unsuback",
          PUBREL: "pubrel", PUBLISH: "delivered"}  # fmt: skip

Mark = bytes | int


class Answer(msgspec.Struct, frozen=True):
    """Something that the platform wrote, where, what it answers was read, and the mark that has to be durable."""

    kind: int
    read: int
    written: int
    mark: Mark | None


class Order(msgspec.Struct, frozen=True):
    """Answers by kind; those written before their sync; those whose mark no synced write held."""

    answers: dict[str, int]
    early: int
    unknown: int
    unknown_readings: int


class Filters(Peer):
    """Subscribes to one marked filter after another, and unsubscribes."""

    def __init__(self, port, count: int) -> None:
        super().__init__(port, "filters")
        self.done = asyncio.Event()
        self._left = list(range(90_000_000, 90_000_000 + count))

    def on_connected(self) -> None:
        self._say(8)

    def _say(self, kind: int) -> None:
        if not self._left:
            self.done.set()
            return
        pattern = text(f"f/<{self._left[-1]}>") + (b"\x01" if kind == SUBSCRIBE else b"")
        identifier = len(self._left).to_bytes(2, "big")
        self.send(packet(kind << 4 | 2, identifier + b"\x00" + pattern))

    def on_answer(self, kind: int, identifier: int, code: int, body: bytes) -> None:
        if kind == SUBACK:
            self._say(UNSUBSCRIBE)
        elif kind == UNSUBACK:
            self._left.pop()
            self._say(SUBSCRIBE)


def _plain(number: int):
    def made(n: int) -> Sent:
        mark = f"<{number * 10_000_000 + n:08}>"
        return Sent(mark, f"o/{number}", mark.encode(), 1 + n % 2, False)

    return made


def _telemetry(number: int):
    def made(n: int) -> Sent:
        payload = f'{{"ts":{BASE_MS + number * SPAN_MS + n * STEP_MS},"values":{{"n":{n}}}}}'
        return Sent(str(n), "telemetry", payload.encode(), 1 + n % 2, False)

    return made


async def _watch(place: Path, messages: int, filters: int, environment: dict[str, str]) -> Order:
    trace = place / "trace"
    environment = {"RINGMAIN_MQTT__SESSION_QUEUE_MAX": "30000", **environment}
    with PlatformProcess(place / "data", environment=environment, open_mqtt=True) as platform:
        platform.import_devices([(DEVICE % n, "generic", TOKEN % n) for n in range(DEVICES)])
        ear = Subscriber(lambda: platform.ports.open_mqtt, "ear", [("o/#", 2)])
        asks = Filters(lambda: platform.ports.open_mqtt, filters)
        says: list[Publisher] = [
            Publisher(
                lambda: platform.ports.open_mqtt,
                f"says-{n}",
                _plain(n),
                window=WINDOW,
                level=4 + n % 2,
                limit=messages,
            )
            for n in range(PUBLISHERS)
        ]
        says += [
            Publisher(
                lambda: platform.ports.mqtt,
                DEVICE % n,
                _telemetry(n),
                window=WINDOW,
                level=4 + n % 2,
                user=DEVICE % n,
                password=TOKEN % n,
                limit=messages,
            )
            for n in range(DEVICES)
        ]
        peers = [ear, asks, *says]
        try:
            with traced(platform.pid, trace):
                ear.start()
                await ear.ready()
                for each in (asks, *says):
                    each.start()
                await asyncio.wait_for(asks.done.wait(), 300)
                for each in says:
                    await ear.hears(lambda each=each: each.sent == messages, each.client, 300)
                    await each.drain(300)
                await ear.hears(lambda: ear.heard.total() >= PUBLISHERS * messages, "not all was heard")
                await asyncio.sleep(0.5)
        finally:
            for each in peers:
                await each.drop()
    return judge(read_calls(trace))


def judge(calls: list[Call]) -> Order:
    """Compare every answer with the syncs of the log."""
    wal = [call for call in calls if call.file.endswith("/log.sqlite-wal")]
    syncs = sorted((call.began, call.ended) for call in wal if call.name == "fdatasync")
    writes = sorted(call.ended for call in wal if call.name == "pwrite64")
    durable = _durable_from(wal, syncs)
    answers = _answers(calls)
    early = unknown = unknown_readings = 0
    for answer in answers:
        if answer.mark is None:
            early += not _covered(answer, writes, syncs)
        elif (place := durable.get(answer.mark)) is None:
            unknown += isinstance(answer.mark, bytes)
            unknown_readings += isinstance(answer.mark, int)
        else:
            early += place >= answer.written
    counts = Counter(_NAMES[answer.kind] for answer in answers)
    return Order(dict(sorted(counts.items())), early, unknown, unknown_readings)


def _covered(answer: Answer, writes: list[int], syncs: list[tuple[int, int]]) -> bool:
    """Whether the log was written after the question was read, and synced after that, before the answer."""
    at = bisect_right(writes, answer.read)
    if at == len(writes):
        return False
    sync = bisect_left(syncs, (writes[at], 0))
    return sync < len(syncs) and syncs[sync][1] < answer.written


def _durable_from(wal: list[Call], syncs: list[tuple[int, int]]) -> dict[Mark, int]:
    """Mark → the place in the trace from which on it is on the disk."""
    begun = [began for began, _ in syncs]
    durable: dict[Mark, int] = {}
    for call in wal:
        at = bisect_right(begun, call.ended)
        if call.name != "pwrite64" or at == len(syncs):
            continue
        for mark in (*_MARK.findall(call.data), *stamps(call.data, BASE_MS, BASE_MS + DEVICES * SPAN_MS, STEP_MS)):
            durable.setdefault(mark, syncs[at][1])
    return durable


def _answers(calls: list[Call]) -> list[Answer]:
    """Everything that the platform said to its clients that promises something."""
    buffers: dict[tuple[str, bool], bytearray] = {}
    asked: dict[tuple[str, int, int], tuple[int, Mark | None]] = {}
    found: list[Answer] = []
    for call in calls:
        if not call.file.startswith(("socket:", "TCP:")) or call.name not in (*_SENDING, *_RECEIVING):
            continue
        heard = call.name in _RECEIVING
        buffer = buffers.setdefault((call.file, heard), bytearray())
        buffer += call.data
        for first, body in packets(buffer):
            kind = first >> 4
            identifier = _identifier(first, body)
            if heard:
                asked[call.file, kind, identifier] = (call.ended, _mark(kind, body))
            elif kind == PUBLISH and first & 6:
                found.append(Answer(kind, -1, call.began, _mark(kind, body)))
            elif (question := asked.pop((call.file, _ANSWERS.get(kind, -1), identifier), None)) is not None:
                found.append(Answer(kind, question[0], call.began, question[1]))
    return found


def _identifier(first: int, body: bytes) -> int:
    if first >> 4 == PUBLISH:
        at = 2 + int.from_bytes(body[:2], "big")
        return int.from_bytes(body[at : at + 2], "big") if first & 6 else -1
    return int.from_bytes(body[:2], "big")


def _mark(kind: int, body: bytes) -> Mark | None:
    if kind in (PUBLISH, SUBSCRIBE):
        if mark := _MARK.search(body):
            return mark.group()
        if stamp := _STAMP.search(body):
            return int(stamp.group(1))
    return None


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.needs("root", "strace")
@pytest.mark.timeout(900)
async def test_nothing_is_acknowledged_before_the_sync_that_covers_it(tmp_path: Path) -> None:
    order = await _watch(tmp_path, MESSAGES, FILTERS, {})
    record("mqtt_ack_order", order=order)
    each = MESSAGES // 2
    assert order.answers == {
        "puback": (PUBLISHERS + DEVICES) * each,
        "pubrec": (PUBLISHERS + DEVICES) * each,
        "pubcomp": (PUBLISHERS + DEVICES) * each,
        "delivered": PUBLISHERS * MESSAGES,
        "pubrel": PUBLISHERS * each,
        "suback": FILTERS + 1,
        "unsuback": FILTERS,
    }
    assert order.unknown == 0, "the writes to the log are not recognised: this test proves nothing"
    assert order.unknown_readings <= SPLIT_MAX * DEVICES * MESSAGES
    assert order.early == 0, f"{order.early} answers before their sync"


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.needs("root", "strace")
@pytest.mark.timeout(300)
async def test_a_log_that_does_not_sync_is_seen_through(tmp_path: Path) -> None:
    order = await _watch(tmp_path, 20, 5, WEAKENED)
    assert order.unknown + order.early > SPLIT_MAX * sum(order.answers.values())
    assert order.early >= order.answers["pubcomp"]


def _trace(*steps: tuple[str, str, bytes]) -> list[Call]:
    return [Call(name, file, data, place, place) for place, (name, file, data) in enumerate(steps)]


def test_traces_in_which_an_answer_comes_first_are_seen_through() -> None:
    wal, socket = "/data/log.sqlite-wal", "socket:[7]"
    said = ("read", socket, packet(0x34, text("o") + b"\x00\x01" + b"<00000001>"))
    write, sync = ("pwrite64", wal, b"..<00000001>.."), ("fdatasync", wal, b"")
    pubrec = ("write", socket, packet(0x50, b"\x00\x01"))
    pubrel, pubcomp = ("read", socket, packet(0x62, b"\x00\x01")), ("write", socket, packet(0x70, b"\x00\x01"))
    other = ("pwrite64", wal, b"")
    good = judge(_trace(said, write, sync, pubrec, pubrel, other, sync, pubcomp))
    assert good == Order({"pubcomp": 1, "pubrec": 1}, 0, 0, 0)
    assert judge(_trace(said, write, pubrec, sync)).early == 1
    assert judge(_trace(said, other, sync, pubrec)).unknown == 1
    assert judge(_trace(pubrel, other, pubcomp, sync)).early == 1
    assert judge(_trace(pubrel, sync, pubcomp)).early == 1, "nothing was written"
    assert judge(_trace(other, pubrel, sync, pubcomp)).early == 1, "what was synced was older than the question"
