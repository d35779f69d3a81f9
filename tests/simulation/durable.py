"""Simulated homes on a simulated disk: each call that changes something is a record in a journal, and returns after
the sync that covers it (or before, where the port promises no more). Opening a home is making those calls again.
"""

import asyncio
import inspect
import pickle

from tests.simulation.disk import Journal, Mount

from ringmain.model.errors import Failed


class Store:
    """One file with some homes in it: one call after another, as one thread would."""

    def __init__(self, mount: Mount, name: str, homes: dict[str, object]):
        self.journal = Journal(mount, name)
        self.homes = homes
        self.name = name
        self.lock = asyncio.Lock()
        self.fault: Failed | None = None
        self._disk = mount.disk

    def recover(self) -> None:
        """Make again all calls that are on the disk. None of them waits for anything."""
        for record in self.journal.recover():
            home, method, args, kwargs = pickle.loads(record)
            try:
                getattr(self.homes[home], method)(*args, **kwargs).send(None)
            except StopIteration:
                continue
            raise AssertionError(f"{method} of {home} waits")

    async def open(self) -> None:
        """Recover; and sync, because who reads what is there believes that it is on the disk."""
        self.recover()
        await self.journal.sync()

    def check(self) -> None:
        if self.fault:
            raise self.fault

    async def change(self, home: str, method: str, args: tuple, kwargs: dict, synced: bool):
        async with self.lock:
            self.check()
            if self._disk.full:
                raise Failed("storage_full", f"no room left for {self.name}; nothing was taken", "make room")
            result = await getattr(self.homes[home], method)(*args, **kwargs)
            self.journal.write(pickle.dumps((home, method, args, kwargs), protocol=5))
            if synced:
                try:
                    await self.journal.sync()
                except OSError as error:
                    self.fault = Failed("storage_failed", f"{self.name}: {error}", "restart and resend")
                    raise self.fault from error
            return result


class Durable:
    """A home as the rooms see it. `changes` names the calls that are written, and whether they wait for the sync;
    `waits` those that may wait for others and so run beside them.
    """

    def __init__(self, store: Store, home: str, changes: dict[str, bool], waits: tuple[str, ...] = ()):
        self._store, self._home, self._changes, self._waits = store, home, changes, waits
        self._inner = store.homes[home]

    @property
    def broken(self) -> str:
        return self._store.fault.detail if self._store.fault else ""

    async def close(self) -> None:
        if not self._store.fault:
            await self._store.journal.sync()

    def __getattr__(self, name: str):
        inner = getattr(self._inner, name)
        if name in self._changes:

            async def call(*args, **kwargs):
                return await self._store.change(self._home, name, args, kwargs, self._changes[name])

        elif inspect.iscoroutinefunction(inner) and name not in self._waits:

            async def call(*args, **kwargs):
                async with self._store.lock:
                    self._store.check()
                    return await inner(*args, **kwargs)

        else:
            return inner
        setattr(self, name, call)
        return call
