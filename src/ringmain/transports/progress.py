"""How far what was written has come: not as far as our own buffers, as far as the peer's TCP.

Under TLS, and with the kernel's buffers of some MB, a transport has taken everything long before a slow line has
carried it. Linux tells what the peer has acknowledged (tcp(7), TCP_INFO) and what it has not (SIOCOUTQ); elsewhere the
transport's own buffer has to do.
"""

import asyncio
import fcntl
import socket
import struct
import sys
import termios

_ACKED = struct.Struct("=120xQ")
"""`tcpi_bytes_acked` of `struct tcp_info`, since Linux 4.1."""


def progress(transport: asyncio.Transport) -> tuple[int, int]:
    """Bytes that have left, of any beginning, and bytes that have not: none is left where the second is 0."""
    held = transport.get_write_buffer_size()
    line = transport.get_extra_info("socket")
    if line is None or sys.platform != "linux":
        return -held, held
    try:
        (acked,) = _ACKED.unpack(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.size))
        (queued,) = struct.unpack("=i", fcntl.ioctl(line.fileno(), termios.TIOCOUTQ, bytes(4)))
    except (OSError, struct.error):  # no TCP, or a kernel that does not tell
        return -held, held
    return acked, held + queued
