"""One demo from its start to its end: the stage is set, the street comes alive, somebody watches and breaks things.

Everything that takes long (accounts, bills) is done a step at a time between two looks, so that the view never stands
still and Ctrl-C is heard at once.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from ringmain.apps.demo import plan, scene
from ringmain.apps.demo.bills import BillRun
from ringmain.apps.demo.keys import Keys
from ringmain.apps.demo.plan import Kept, Options
from ringmain.apps.demo.report import Report, report_of
from ringmain.apps.demo.stage import Stage
from ringmain.apps.demo.view import Situation
from ringmain.apps.demo.watch import Figures, Watch
from ringmain.apps.lab.api import Api, ApiError
from ringmain.apps.lab.processes import Family, sigterm_interrupts

LOOK_EVERY_S = 0.4
LOOK_FIRST_S = 0.1
"""Until there is something to see."""

WORK_S = 0.15
"""At most so long between two looks is spent on accounts and bills."""

SAID = 4
"""Lines of the demo's own words that stay on the screen."""

Show = Callable[[Figures, Situation], None]


class Demo:
    """A demo that runs. `show` is given the figures after each look."""

    def __init__(
        self, options: Options, kept: Kept | None, stage: Stage, began_s: float, say: Callable[[str], None]
    ) -> None:
        self.options = options
        self.stage = stage
        self.resumed = kept is not None
        self.ended_in_s = 0.0
        self._began_s = began_s
        self._say = say
        self._said: deque[str] = deque(maxlen=SAID)
        self._cut = False
        self._slowed = False
        self._left: list[Api] = []
        self._set(kept)

    def _set(self, kept: Kept | None) -> None:
        """Everything up to the first reading, in the order of dependence."""
        stage, options = self.stage, self.options
        stage.start_platform()
        stage.start_relay()
        if kept is None:  # who can start before the platform is there does: it waits for its way in
            kept = scene.new_street(options)
            stage.start_homes(kept, None)
        operator = self._api(stage.wait_for_platform())
        self.kept, tenant = scene.prepare(operator, stage.ports.http, options, kept)
        self._left.append(tenant)
        self._tenant = tenant
        if not stage.edge_joined:
            stage.join_edge(scene.gateway_claim(tenant, self.kept.homes))
        stage.start_edge()
        if self.resumed:
            stamps = options.work_dir / "last.csv"
            stage.start_homes(self.kept, stamps if scene.last_stamps(tenant, self.kept, stamps) else None)
        self._watch = Watch(operator, tenant, options.edge_dir, stage.progress_path, self._began_s)
        self.figures = self._watch.figures
        self._bills = BillRun(tenant, self.kept, self.figures)

    def _api(self, token: str) -> Api:
        api = Api(self.stage.ports.http, token)
        self._left.append(api)
        return api

    # -- while it runs --------------------------------------------------------------------------------------

    def run(self, keys: Keys, show: Show) -> None:
        """Look, show, work, listen, until the time is up or somebody ends it."""
        accounts: Iterator[None] | None = scene.accounts(self._tenant, self.kept)
        until = self._began_s + self.options.seconds if self.options.seconds else float("inf")
        while (now_s := time.monotonic()) < until:
            self._watch.look()
            for told in self.stage.supervise():
                self._tell(told)
            if self.figures.platform_answers and self.figures.stored:
                accounts = self._work(accounts, now_s)
            self._slow_down()
            show(self.figures, self.situation())
            every_s = LOOK_EVERY_S if self.figures.stored else LOOK_FIRST_S
            if self._listen(keys, min(until, now_s + every_s)):
                return

    def _work(self, accounts: Iterator[None] | None, now_s: float) -> Iterator[None] | None:
        """Accounts first, then bills, for a moment; what is left of the accounts."""
        with suppress(ApiError):  # the platform was killed meanwhile: the same step again, later
            while time.monotonic() - now_s < WORK_S:
                if accounts is not None:
                    try:
                        next(accounts)
                    except StopIteration:
                        accounts = None
                elif self._bills.is_due():
                    self._bills.step()
                else:
                    break
            return accounts
        return scene.accounts(self._tenant, self.kept)

    def _slow_down(self) -> None:
        """In step with the world meters report every half hour again, and are missed no sooner."""
        homes = self.figures.homes
        if homes is not None and homes.real_time and not self._slowed:
            with suppress(ApiError):
                scene.put_profile(self._tenant, 1.0)
                self._slowed = True
                self._tell("the street has reached the present; from here on it lives in real time")

    def _listen(self, keys: Keys, until_s: float) -> bool:
        """Act on keys until it is time for the next look; True where the demo is to end."""
        while (left_s := until_s - time.monotonic()) > 0:
            for key in keys.wait(left_s):
                if key == "q":
                    return True
                self._press(key)
        return False

    def _press(self, key: str) -> None:
        if key == "c":
            self._cut = not self._cut
            self.stage.cut(off=self._cut)
            self._tell(
                "uplink cut: the edge keeps everything; press c to mend it"
                if self._cut
                else "uplink mended: watch the backlog go"
            )
        elif key in ("e", "p"):
            name = "edge" if key == "e" else "platform"
            self.stage.kill(name)
            self._tell(f"{name} killed (SIGKILL); nothing that was acknowledged is lost")

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
        for api in self._left:
            api.close()
        self.stage.end()
        self.ended_in_s = time.monotonic() - began_s

    def addresses(self) -> tuple[tuple[str, str], ...]:
        """For the banner."""
        ports, storage = self.stage.ports, self.options.storage_dir
        return (
            ("HTTP API", f"http://127.0.0.1:{ports.http}/api/v1"),
            ("MQTT", f"mqtt://127.0.0.1:{ports.mqtt}"),
            ("MQTT, TLS", f"mqtts://127.0.0.1:{ports.mqtts}"),
            ("edge, MQTT", f"mqtt://127.0.0.1:{ports.edge}"),
            ("admin token", str(storage / "identity" / "admin.token")),
            ("data", f"{storage} and {self.options.edge_dir}"),
        )

    def hello(self) -> str:
        """A line that works as it is pasted."""
        user = f"-u {plan.TENANT}/{plan.HELLO} -P {self.kept.hello_token}"
        return (
            f"mosquitto_pub -h 127.0.0.1 -p {self.stage.ports.mqtt} {user}"
            " -q 1 -t telemetry -m '{\"temperature_cel\": 21.5}'"
        )


def play(
    options: Options, began_s: float, keys: Keys, show: Show, say: Callable[[str], None], ready: Callable[[Demo], None]
) -> Report:
    """The whole demo; `ready` hears of it when everything has been started. The processes end whatever happens."""
    kept = plan.load(options.storage_dir)
    with sigterm_interrupts(), Family(options.work_dir) as family:
        stage = Stage(family, options, plan.free_ports(options))
        demo: Demo | None = None
        try:
            demo = Demo(options, kept, stage, began_s, say)
            ready(demo)
            demo.run(keys, show)
        except KeyboardInterrupt:
            if demo is None:
                raise
        finally:
            if demo is not None:
                demo.end()
            else:
                stage.end()
        return demo.report()
