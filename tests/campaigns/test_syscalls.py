"""The reader of traces, on lines as strace writes them: thread ids padded, calls cut in two by another thread."""

from pathlib import Path

from tests.campaigns.syscalls import Call, read_calls

_TRACE = r"""3409  read(28<\x73\x6f\x63\x6b\x65\x74\x3a\x5b\x37\x5d>, "\x10\x00", 256000) = 2
13412 pwrite64(4<\x2f\x77\x61\x6c>, "\x01", 1, 0) = 1
13412 fdatasync(4<\x2f\x77\x61\x6c> <unfinished ...>
3409  read(28<\x73\x6f\x63\x6b\x65\x74\x3a\x5b\x37\x5d>,  <unfinished ...>
13412 <... fdatasync resumed>)               = 0
3409  <... read resumed>"\x30", 256000) = 1
3409  write(28<\x73\x6f\x63\x6b\x65\x74\x3a\x5b\x37\x5d>, "\x40\x02", 2) = 2
3409  +++ exited with 0 +++
"""


def test_calls_are_read_with_their_data_and_their_extent(tmp_path: Path) -> None:
    log = tmp_path / "trace"
    log.write_text(_TRACE)
    assert read_calls(log) == [
        Call("read", "socket:[7]", b"\x10\x00", 0, 0),
        Call("pwrite64", "/wal", b"\x01", 1, 1),
        Call("fdatasync", "/wal", b"", 2, 4),
        Call("read", "socket:[7]", b"\x30", 3, 5),
        Call("write", "socket:[7]", b"\x40\x02", 6, 6),
    ]
