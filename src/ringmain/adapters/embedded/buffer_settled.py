"""Settled rows on their way out of the file: deleted within a second, sooner where room is wanted, and again and again
where the disk does not let them. A crash before that brings them back, and they go up once more.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from ringmain.adapters.embedded import buffer_rows
from ringmain.adapters.embedded.buffer_file import BufferFile
from ringmain.model.errors import Failed
from ringmain.model.ids import Offset

log = logging.getLogger(__name__)

SETTLE_WITHIN_S = 1.0
"""What the platform has answered for is deleted after so long; and what could not be is tried again."""

DELETE_ROWS_MAX = 256
"""Rows deleted in one transaction, so that no append waits behind a long one."""


class Settled:
    """Offsets that wait to be deleted, and the timer and task that do it."""

    def __init__(self, file: BufferFile) -> None:
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Offset] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def add(self, offsets: Iterable[Offset]) -> None:
        """These may go."""
        self._waiting += offsets
        self._later()

    def hurry(self) -> None:
        """Room is wanted: do not wait for the second to pass."""
        if self._timer:
            self._timer.cancel()
            self._begin()

    async def delete(self) -> None:
        """Delete all that wait. `Failed` where that can not be; they wait on."""
        while some := self._waiting[:DELETE_ROWS_MAX]:
            await self._file.run(lambda connection, some=some: buffer_rows.settle(connection, some))  # type: ignore[misc]
            del self._waiting[: len(some)]

    async def close(self) -> None:
        """Delete what can be deleted, and stop."""
        self._closing = True
        if self._timer:
            self._timer.cancel()
        with contextlib.suppress(Failed):
            if self._task:
                await self._task
            await self.delete()

    def _later(self) -> None:
        if self._waiting and self._timer is None and self._task is None and not self._closing:
            self._timer = self._loop.call_later(SETTLE_WITHIN_S, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._task = self._loop.create_task(self.delete(), name="buffer-settle")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()):
            log.error("settled rows could not be deleted yet, and go up again after a restart: %s", error)
        if not self._file.broken:
            self._later()
