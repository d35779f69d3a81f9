"""No PUBACK leaves before the sync that covers its message: seen from outside, in the system calls of the platform.

Every message carries a stamp of its own, and the log keeps stamps as little-endian integers; so the write that put
a message into the log's WAL can be recognised, the fdatasync behind it as well, and the PUBACK has to come after both.
"""

import re
import struct
from bisect import bisect_right
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bench.load import BASE_MS, PASSWORD, STEP_MS, USER, Load, devices
from tests.campaigns.evidence import PROVE, record
from tests.campaigns.syscalls import Call, read_calls, traced
from tests.e2e.platform_process import PlatformProcess

CONNECTIONS = 8
MESSAGES = 1250 if PROVE else 250
WEAKENED = {"RINGMAIN_STORAGE__SYNCHRONOUS": "off", "RINGMAIN_UNSAFE_TEST": "1"}
SPAN_MS = 10_000 * STEP_MS
"""Between the first stamps of two connections."""

WINDOW = 5
"""Small, so that there are many commits."""

SPLIT_MAX = 0.02
"""A stamp that lies across two pages of the WAL is not recognised: one in five hundred."""

_CLIENT = re.compile(rb"load-(\d{6})")
_SENDING = ("write", "writev", "sendto", "sendmsg")
_RECEIVING = ("read", "readv", "recvfrom", "recvmsg")


class Order(msgspec.Struct, frozen=True):
    """Acknowledgements seen; those before the sync of their message; those whose message no synced write held."""

    acks: int
    early: int
    unknown: int


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.needs("root", "strace", "gcc")
@pytest.mark.timeout(300)
def test_no_puback_is_written_before_the_sync_that_covers_its_message(tmp_path: Path) -> None:
    order = _watch(tmp_path, MESSAGES, {})
    record("ack_order", order=order)
    assert order.acks == CONNECTIONS * MESSAGES
    assert order.unknown <= SPLIT_MAX * order.acks, "the writes to the log are not recognised: this test proves nothing"
    assert order.early == 0, f"{order.early} acknowledgements before their sync"


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.needs("root", "strace", "gcc")
@pytest.mark.timeout(300)
def test_a_log_that_does_not_sync_is_seen_through(tmp_path: Path) -> None:
    order = _watch(tmp_path, 25, WEAKENED)
    assert order.acks == CONNECTIONS * 25
    assert order.unknown + order.early > SPLIT_MAX * order.acks


def _watch(place: Path, messages: int, environment: dict[str, str]) -> Order:
    trace = place / "trace"
    with PlatformProcess(place / "data", environment=environment) as platform:
        platform.import_devices(devices(CONNECTIONS))
        with traced(platform.pid, trace), ExitStack() as stack:
            loads = [stack.enter_context(_one_connection(platform.ports.mqtt, n, messages)) for n in range(CONNECTIONS)]
            assert all(load.result(120).complete for load in loads)
    calls = read_calls(trace)
    durable_from = _durable_from(calls)
    covered = [(place, durable_from.get(stamp)) for stamp, place in _acks(calls)]
    early = sum(1 for place, durable in covered if durable is not None and durable >= place)
    return Order(len(covered), early, sum(1 for _, durable in covered if durable is None))


def _one_connection(port: int, number: int, messages: int) -> Load:
    """A load of its own for each connection, so that no two messages of the run share a stamp."""
    return Load(
        port,
        connections=1,
        window=WINDOW,
        messages=messages,
        user=USER % number,
        password=PASSWORD % number,
        client=USER % number,
        base_ms=_base(number),
        limit=100,
    )


def _base(number: int) -> int:
    return BASE_MS + number * SPAN_MS


def _durable_from(calls: list[Call]) -> dict[int, int]:
    """Stamp → the place in the trace from which on it is on the disk."""
    wal = [call for call in calls if call.file.endswith("/log.sqlite-wal")]
    syncs = sorted((call.began, call.ended) for call in wal if call.name == "fdatasync")
    begun = [began for began, _ in syncs]
    first, last = _base(0), _base(CONNECTIONS)
    durable: dict[int, int] = {}
    for call in wal:
        if call.name != "pwrite64":
            continue
        at = bisect_right(begun, call.ended)
        for stamp in stamps(call.data, first, last) if at < len(syncs) else ():
            durable.setdefault(stamp, syncs[at][1])
    return durable


def stamps(data: bytes, first: int, last: int, step: int = STEP_MS) -> set[int]:
    """Every int64 in `data`, at whatever offset, that is a stamp of this run."""
    found: set[int] = set()
    for shift in range(8):
        whole = (len(data) - shift) // 8 * 8
        numbers = np.frombuffer(data[shift : shift + whole], dtype="<i8")
        ours = numbers[(numbers >= first) & (numbers < last) & ((numbers - first) % step == 0)]
        found.update(int(number) for number in ours)
    return found


def _acks(calls: list[Call]) -> list[tuple[int, int]]:
    """(stamp of the message, place in the trace) of every PUBACK."""
    names: dict[str, int] = {}
    acks: list[tuple[int, int]] = []
    for call in calls:
        if not call.file.startswith(("socket:", "TCP:")):
            continue
        if call.name in _RECEIVING and call.file not in names and (client := _CLIENT.search(call.data)):
            names[call.file] = int(client.group(1))
        elif call.name in _SENDING and call.file in names:
            stamps = (_base(names[call.file]) + (packet_id - 1) * STEP_MS for packet_id in _pubacks(call.data))
            acks += [(stamp, call.began) for stamp in stamps]
    return acks


def _pubacks(data: bytes) -> list[int]:
    """Packet ids of the PUBACKs (MQTT 3.1.1 §3.4) among the packets of one write; all of them are short."""
    ids, at = [], 0
    while at + 2 <= len(data):
        if data[at] == 0x40:
            ids.append(struct.unpack_from(">H", data, at + 2)[0])
        at += 2 + data[at + 1]
    return ids


def test_a_trace_in_which_an_ack_comes_first_is_seen_through() -> None:
    stamp = _base(0).to_bytes(8, "little")
    wal, socket = "/data/log.sqlite-wal", "socket:[7]"
    honest = [
        Call("read", socket, b"\x10\x00load-000000", 0, 0),
        Call("pwrite64", wal, b"\x07" * 3 + stamp, 1, 1),
        Call("fdatasync", wal, b"", 2, 4),
        Call("write", socket, b"\x40\x02\x00\x01", 5, 5),
    ]
    assert _acks(honest) == [(_base(0), 5)]
    assert _durable_from(honest) == {_base(0): 4}
    sync_too_early = [honest[0], Call("fdatasync", wal, b"", 0, 0), honest[1], honest[3]]
    assert _durable_from(sync_too_early) == {}
