"""The office: accounts and bills, made beside the view by a thread with an API connection of its own.

A bill waits for the store, and there are hundreds: done between two looks they would be late or the view would stand
still. The thread asks the platform and writes to `Figures`; it must never be waited for.
"""

import threading
from collections.abc import Callable

from ringmain.apps.demo import scene
from ringmain.apps.demo.bills import BillRun
from ringmain.apps.demo.plan import Kept
from ringmain.apps.demo.watch import Figures
from ringmain.apps.lab.api import Api, ApiError

PAUSE_S = 0.01
"""Between two steps, so that the street goes first."""

IDLE_S = 0.25
"""Between two looks for something to do, and after a step that failed."""


class Office:
    """Works from `start` to `stop`. `tell` is called in its thread."""

    def __init__(self, api: Api, kept: Kept, figures: Figures, tell: Callable[[str], None]) -> None:
        self._api = api
        self._kept = kept
        self._figures = figures
        self._bills = BillRun(api, kept, figures)
        self._accounts = scene.accounts(api, kept)
        self._opened = False
        self._told = ""
        self._tell = tell
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="office", daemon=True)

    def start(self) -> None:
        """Begin; the first step is done when the first reading is stored."""
        self._thread.start()

    def stop(self) -> None:
        """End soon: what it waits for ends with the platform."""
        self._over.set()

    def _work(self) -> None:
        while not self._over.wait(PAUSE_S if self.step() else IDLE_S):
            pass

    def step(self) -> bool:
        """One account or one bill; whether there was one to do and it was done."""
        if not (self._figures.platform_answers and self._figures.stored):
            return False
        try:
            if not self._opened:
                self._opened = next(self._accounts, True) is True
                return True
            done = self._bills.step()
        except ApiError as error:  # killed meanwhile, or too busy: the same again, later
            self._accounts = scene.accounts(self._api, self._kept)
            self._hear("" if error.status == 0 else error.detail)
            return False
        self._hear(self._bills.trouble)
        return done

    def _hear(self, trouble: str) -> None:
        if trouble and trouble != self._told:
            self._told = trouble
            self._tell(trouble)
