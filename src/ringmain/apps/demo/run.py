"""One demo from its start to its end: the street comes alive on the stage, somebody watches and breaks things.

Nothing here waits long, so that the view never stands still and Ctrl-C is heard at once; accounts and bills are the
office's.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ringmain.apps.demo import plan, scene, words
from ringmain.apps.demo.keys import Keys
from ringmain.apps.demo.office import Office
from ringmain.apps.demo.plan import Kept, Options
from ringmain.apps.demo.report import Report, report_of
from ringmain.apps.demo.situation import Situation
from ringmain.apps.demo.stage import Stage
from ringmain.apps.demo.watch import Figures, Latest, Watch
from ringmain.apps.lab.api import Api, ApiError

LOOK_EVERY_S = 0.4
LOOK_FIRST_S = 0.1
"""Until there is something to see."""

SOON_S, SOON_INTERVALS = 5.0, 3
"""So long before it is now, in real seconds or reports of each meter, the platform hears of the half hours to come."""

SAID = 4
"""Lines of the demo's own words that stay on the screen."""

HINT = "press c, e or p, and watch it heal"

Show = Callable[[Figures, Situation], None]


class Demo:
    """A demo that runs. `show` is given the figures after each look."""

    def __init__(
        self, options: Options, kept: Kept | None, stage: Stage, began_s: float, say: Callable[[str], None]
    ) -> None:
        self.options = options
        self.stage = stage
        self.resumed = kept is not None
        self.page = False
        self.ended_in_s = 0.0
        self._began_s = began_s
        self._say = say
        self._said: deque[str] = deque(maxlen=SAID)
        self._cut = False
        self._slowed = self._present = False
        self._own: tuple[Latest, ...] | None = None if self.resumed else ()
        self._away_s: dict[str, float] = {}
        self._left: list[Api] = []
        self._set(kept)

    def _set(self, kept: Kept | None) -> None:
        """Everything up to the first reading, in the order of dependence; the platform starts already."""
        stage, options = self.stage, self.options
        fresh = kept is None
        kept = kept or scene.new_street(options)
        stage.prepare_edge()
        if fresh:  # who can start before the platform is there does: it waits for its way in
            stage.start_homes(kept, None)
        operator = self._api(stage.wait_for_platform())
        self.kept, tenant = scene.prepare(operator, stage.ports.http, options, kept)
        self._tenant = tenant
        if not stage.edge_joined:
            stage.join_edge(scene.gateway_claim(tenant, self.kept.homes))
        stage.start_edge()
        if not fresh:
            stamps = options.work_dir / "last.csv"
            stage.start_homes(self.kept, stamps if scene.last_stamps(tenant, self.kept, stamps) else None)
        self._left.append(tenant)
        self._watch = Watch(operator, tenant, options.edge_dir, stage.progress_path, self._began_s)
        self.figures = self._watch.figures
        self._office = Office(self._api(self.kept.tenant_token), self.kept, self.figures, self._tell)

    def _api(self, token: str) -> Api:
        api = Api(self.stage.ports.http, token)
        self._left.append(api)
        return api

    # -- while it runs --------------------------------------------------------------------------------------

    def run(self, keys: Keys, show: Show) -> None:
        """Look, show, listen, until the time is up or somebody ends it."""
        self._office.start()
        self._said.append(f"each home reports every half hour of its time; {HINT}")
        until = self._began_s + self.options.seconds if self.options.seconds else float("inf")
        while (now_s := time.monotonic()) < until:
            self._watch.look()
            for told in self.stage.supervise():
                self._tell(told)
            self._welcome()
            self._slow_down()
            show(self.figures, self.situation())
            every_s = LOOK_EVERY_S if self.figures.stored else LOOK_FIRST_S
            if self._listen(keys, min(until, now_s + every_s), show):
                return

    def _welcome(self) -> None:
        """Tell of what came: the user's own device, and processes that were killed and answer again."""
        figures = self.figures
        if self._own is not None and figures.own != self._own:
            values = ", ".join(f"{each.channel} {each.value:g}" for each in figures.own if each.value is not None)
            self._tell(f"your own device was heard: {values}")
        if figures.platform_answers:
            self._own = figures.own
        for name, answers in (("edge", figures.edge_answers), ("platform", figures.platform_answers)):
            if answers and self.stage.is_up(name) and name in self._away_s:
                away_s = time.monotonic() - self._away_s.pop(name)
                self._tell(f"{name} answers again after {away_s:.1f} s")

    def _slow_down(self) -> None:
        """In step with the world meters report every half hour again. The platform is told a little before: from their
        next reports on it misses them no sooner.
        """
        at_ms, homes = self.figures.virtual_ms, self.figures.homes
        if at_ms is None or homes is None:
            return
        soon_ms = max(SOON_S * 1000 * self.options.speed, SOON_INTERVALS * plan.INTERVAL_S * 1000)
        if not self._slowed and (homes.real_time or at_ms >= time.time() * 1000 - soon_ms):
            with suppress(ApiError):
                scene.put_profile(self._tenant, 1.0)
                self._slowed = True
        if homes.real_time and not self._present:
            self._present = True
            self._tell("the street has reached the present; from here on it lives in real time")

    def _listen(self, keys: Keys, until_s: float, show: Show) -> bool:
        """Act on keys until it is time for the next look; True where the demo is to end."""
        while (left_s := until_s - time.monotonic()) > 0:
            for key in keys.wait(left_s):
                if key == "q":
                    return True
                if self._press(key):
                    show(self.figures, self.situation())
        return False

    def _press(self, key: str) -> bool:
        """Whether the key meant anything."""
        if key == "c":
            self._cut = not self._cut
            self.stage.cut(off=self._cut)
            self._tell(
                "uplink cut: the edge keeps everything; press c to mend it"
                if self._cut
                else f"uplink mended: the edge held {self._held():,} readings; watch the backlog go"
            )
        elif key in ("e", "p"):
            name = "edge" if key == "e" else "platform"
            if self.stage.kill(name):
                self._away_s[name] = time.monotonic()
                self._tell(f"{name} killed (SIGKILL); nothing that was acknowledged is lost")
        elif key == "a":
            self.page = not self.page
        else:
            return False
        return True

    def _held(self) -> int:
        return self.figures.edge.buffered_readings if self.figures.edge else 0

    def _tell(self, text: str) -> None:
        self._said.append(text)
        self._say(text)

    def situation(self) -> Situation:
        """How it stands."""
        stage = self.stage
        return Situation(
            homes=self.kept.homes,
            speed=self.options.speed,
            seconds=time.monotonic() - self._began_s,
            cut=self._cut,
            edge_runs=stage.is_up("edge"),
            platform_runs=stage.is_up("platform"),
            kills_edge=stage.killed["edge"],
            kills_platform=stage.killed["platform"],
            said=tuple(self._said),
        )

    def report(self) -> Report:
        """What came of it."""
        return report_of(self.figures, self.situation(), ended_in_s=self.ended_in_s, resumed=self.resumed)

    def end(self) -> None:
        """End every process; what was acknowledged is on disk."""
        began_s = time.monotonic()
        self._office.stop()
        self.stage.end()
        for api in self._left:
            api.close()
        self.ended_in_s = time.monotonic() - began_s

    def banner(self) -> str:
        """Where everything is, and how to be heard."""
        ports, here = self.stage.ports, Path.cwd()
        storage, edge = (words.shown(path, here) for path in (self.options.storage_dir, self.options.edge_dir))
        addresses = (
            ("HTTP API", f"http://127.0.0.1:{ports.http}/api/v1"),
            ("MQTT", f"mqtt://127.0.0.1:{ports.mqtt}"),
            ("MQTT, TLS", f"mqtts://127.0.0.1:{ports.mqtts}"),
            ("edge, MQTT", f"mqtt://127.0.0.1:{ports.edge}"),
            ("admin token", f"{storage}/identity/admin.token"),
            ("data", f"{storage} and {edge}"),
        )
        return words.banner(addresses, words.hello(ports.mqtt, self.kept.hello_token))


def play(
    options: Options,
    kept: Kept | None,
    stage: Stage,
    began_s: float,
    keys: Keys,
    show: Show,
    say: Callable[[str], None],
    ready: Callable[[Demo], None],
) -> Report:
    """The whole demo on a stage that is set up; `ready` hears of it when everything has been started."""
    demo = Demo(options, kept, stage, began_s, say)
    try:
        ready(demo)
        demo.run(keys, show)
    except KeyboardInterrupt:  # Ctrl-C is how one ends it
        pass
    finally:
        demo.end()
    return demo.report()
