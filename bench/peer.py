"""The peer of the bench: mosquitto as Debian ships it, with a configuration of its own in a directory of its own."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous {anonymous}
{passwords}
persistence false
set_tcp_nodelay true
max_inflight_messages 0
log_type error
"""
"""Nothing that would slow it: no file, no subscriber, Nagle off, no limit on what is in flight."""

START_S_MAX = 10.0


def installed() -> str | None:
    """Where mosquitto is; Debian puts it where only root looks."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """A broker on a free port. `users` are (name, password); none lets anybody in."""

    def __init__(self, directory: Path, users: Iterable[tuple[str, str]] = ()) -> None:
        directory.mkdir(parents=True)
        directory.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        passwords = "".join(f"{name}:{password}\n" for name, password in users)
        if passwords:
            file = directory / "passwords"
            file.write_text(passwords)
            subprocess.run(["mosquitto_passwd", "-U", file], check=True, timeout=60)
            file.chmod(0o644)  # started by root it becomes the user `mosquitto` before it reads the file
        self._config = directory / "mosquitto.conf"
        self._config.write_text(
            CONFIG.format(
                port=self.port,
                anonymous="false" if passwords else "true",
                passwords=f"password_file {directory / 'passwords'}" if passwords else "",
            )
        )

    def __enter__(self) -> Self:
        program = installed()
        if program is None:
            raise RuntimeError("mosquitto is not installed: apt-get install mosquitto")
        self._process = subprocess.Popen([program, "-c", self._config], stdout=subprocess.DEVNULL)
        until = time.monotonic() + START_S_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    self._end()
                    raise RuntimeError(f"mosquitto did not start with {self._config}") from None
                time.sleep(0.02)
            else:
                return self

    @property
    def pid(self) -> int:
        """The broker's process id."""
        return self._process.pid

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(10)


def version() -> str:
    """`mosquitto version 2.0.11`, as it says itself."""
    program = installed()
    if program is None:
        return "not installed"
    said = subprocess.run([program, "-h"], capture_output=True, text=True, check=False, timeout=10).stdout
    return said.splitlines()[0] if said else "unknown"
