"""What goes on at the doors while the platform is killed: publishers of QoS 1 and 2 and of retained messages,
subscribers that are there and one that mostly is not, wills, devices that send telemetry at QoS 2; and the judge.

The judge knows what was acknowledged and what was heard from the clients' own books. Of the platform it believes only
what is stored and what it delivers.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

import msgspec
from tests.campaigns.comparison import settle
from tests.campaigns.mqtt_peers import Peer, Publisher, Sent, Subscriber, Will
from tests.e2e.platform_process import PlatformProcess

PUBLISHERS, DEVICES = 3, 2
WINDOW = 8
PAUSE_S = 0.005
"""Each message is followed by the next so much later: hundreds a second, and both cores are left alive."""

RETAINED_TOPICS = 8
DEVICE, TOKEN = "qos2-%d", "token-of-qos2-%d-0123456789abcdef0123456789abcdef"
BASE_MS = 1_767_225_600_000
CAUGHT_UP_S_MAX = 60.0
ENVIRONMENT = {"RINGMAIN_MQTT__SESSION_QUEUE_MAX": "30000"}
"""What a subscriber that is away misses for want of room is no fault; here there is room."""


def devices() -> list[tuple[str, str, str]]:
    return [(DEVICE % n, "generic", TOKEN % n) for n in range(DEVICES)]


class Verdict(msgspec.Struct, frozen=True):
    """Figures of a run. Everything from `missing` on must be 0."""

    acknowledged: int
    heard: int
    wills: int
    readings: int
    resent: int
    missing: int
    twice: int
    strange: int
    sessions_lost: int
    retained_wrong: int
    wills_missing: int
    wills_twice: int
    readings_missing: int
    readings_twice: int
    duplicates_stored: int

    @property
    def faults(self) -> int:
        return (
            self.missing
            + self.twice
            + self.strange
            + self.sessions_lost
            + self.retained_wrong
            + self.wills_missing
            + self.wills_twice
            + self.readings_missing
            + self.readings_twice
            + self.duplicates_stored
        )


def _message(client: str) -> Callable[[int], Sent]:
    def made(n: int) -> Sent:
        qos = 1 + n % 2
        key = f"{qos}:{client}:{n}"
        return Sent(key, f"load/{client}/{n % 16}", key.encode(), qos, False)

    return made


def _kept(n: int) -> Sent:
    return Sent(str(n), f"kept/{n % RETAINED_TOPICS}", str(n).encode(), 1 + n % 2, True)


def _telemetry(n: int) -> Sent:
    payload = f'{{"ts":{BASE_MS + n * 1000},"values":{{"n":{n}}}}}'
    return Sent(str(n), "telemetry", payload.encode(), 2, False)


class Scene:
    """Everybody at the doors of `platform`, which may be replaced by another one while it is down."""

    def __init__(self, platform: PlatformProcess) -> None:
        self.platform = platform
        names = [f"says-{n}" for n in range(PUBLISHERS)]
        self.publishers = [
            Publisher(self._open, name, _message(name), window=WINDOW, pause_s=PAUSE_S, level=4 if n == 0 else 5)
            for n, name in enumerate(names)
        ]
        self.keeper = Publisher(self._open, "keeps", _kept, window=4, pause_s=4 * PAUSE_S)
        self.devices = [
            Publisher(
                self._own,
                DEVICE % n,
                _telemetry,
                window=WINDOW,
                pause_s=PAUSE_S,
                level=5 - n,
                user=DEVICE % n,
                password=TOKEN % n,
            )
            for n in range(DEVICES)
        ]
        filters = [("load/#", 2), ("will/#", 2)]
        self.awake = [Subscriber(self._open, f"awake-{level}", filters, level=level) for level in (4, 5)]
        self.sleeper = Subscriber(self._open, "sleeper", filters)
        self.dying: list[Peer] = []
        self.wills: dict[bytes, int] = {}

    def _open(self) -> int:
        return self.platform.ports.open_mqtt

    def _own(self) -> int:
        return self.platform.ports.mqtt

    @property
    def speaking(self) -> list[Publisher]:
        return [*self.publishers, self.keeper, *self.devices]

    @property
    def unacknowledged(self) -> int:
        return sum(each.unacknowledged for each in self.speaking)

    @property
    def acked(self) -> set[bytes]:
        return {key.encode() for each in self.publishers for key in each.acked}

    async def begin(self) -> None:
        for ear in (*self.awake, self.sleeper):
            ear.start()
            await ear.ready()
        await self.sleeper.leave()
        for each in self.speaking:
            each.start()
        await self.up()

    async def up(self) -> None:
        """Everybody but the sleeper is connected."""
        for each in (*self.speaking, *self.awake):
            await each.up()

    async def add_wills(self, number: int) -> None:
        """Two more clients who will be connected at the end: one with a session, one without."""
        for qos in (1, 2):
            payload = f"{qos}:will:{number}".encode()
            self.wills[payload] = qos
            will = Will(f"will/{number}", payload, qos)
            each = Peer(self._open, f"dies-{number}-{qos}", will=will, expiry_s=600 if qos == 1 else 0)
            each.start()
            await each.up()
            self.dying.append(each)

    async def bury(self) -> None:
        """The clients with wills do not come back."""
        while self.dying:
            await self.dying.pop().drop()

    async def wake_the_sleeper(self) -> None:
        """It hears what was acknowledged until now, and leaves again."""
        wanted = self.acked
        self.sleeper.start()
        await self.sleeper.hears(
            lambda: wanted <= self.sleeper.heard.keys(), "the sleeper did not catch up", CAUGHT_UP_S_MAX
        )
        await self.sleeper.leave()

    async def end(self) -> None:
        """Everything is acknowledged and heard, or it never will be."""
        for each in self.speaking:
            await each.drain(CAUGHT_UP_S_MAX)
        wanted = self.acked | set(self.wills)
        self.sleeper.start()
        for ear in (*self.awake, self.sleeper):
            try:
                await ear.hears(lambda ear=ear: wanted <= ear.heard.keys(), "", CAUGHT_UP_S_MAX / 6)
            except AssertionError:
                continue  # the verdict counts what is missing
        await asyncio.sleep(0.5)  # what comes twice may come late

    async def leave(self) -> None:
        await self.bury()
        for each in (*self.speaking, *self.awake, self.sleeper):
            await each.drop()

    async def verdict(self) -> Verdict:
        late = Subscriber(self._open, "late", [("kept/#", 2)], expiry_s=0)
        late.start()
        await late.ready()
        await asyncio.sleep(0.5)
        await late.drop()
        last = {f"kept/{n % RETAINED_TOPICS}": str(n).encode() for n in range(self.keeper.sent)}
        sent = {_message(each.client)(n).key.encode() for each in self.publishers for n in range(each.sent)}
        acked, ears = self.acked, [*self.awake, self.sleeper]
        stored = await asyncio.to_thread(self._stored)
        outcomes = [await asyncio.to_thread(self.platform.outcomes, each.client) for each in self.devices]
        return Verdict(
            acknowledged=len(acked) + sum(len(each.acked) for each in self.devices) + len(self.keeper.acked),
            heard=sum(ear.heard.total() for ear in ears),
            wills=len(self.wills),
            readings=sum(each.total() for each in stored),
            resent=sum(each.resent for each in self.speaking),
            missing=sum(len(acked - ear.heard.keys()) for ear in ears),
            twice=sum(sum(n - 1 for key, n in ear.heard.items() if key[:2] == b"2:" and key in sent) for ear in ears),
            strange=sum(len(ear.heard.keys() - sent - self.wills.keys()) for ear in ears),
            sessions_lost=sum(each.sessions_lost for each in (*self.speaking, *ears)),
            retained_wrong=sum(late.retained.get(topic) != payload for topic, payload in last.items()),
            wills_missing=sum(len(self.wills.keys() - ear.heard.keys()) for ear in ears),
            wills_twice=sum(
                max(0, ear.heard[payload] - 1) for ear in ears for payload, qos in self.wills.items() if qos == 2
            ),
            readings_missing=sum(
                len({int(key) for key in each.acked} - found.keys())
                for each, found in zip(self.devices, stored, strict=True)
            ),
            readings_twice=sum(found.total() - len(found) for found in stored),
            duplicates_stored=sum(found.get("duplicate", 0) + found.get("conflict", 0) for found in outcomes),
        )

    def falsify(self) -> None:
        """One fault of each kind in the books, for the judge to find."""
        ear = self.awake[0]
        lost, doubled = [key for key in self.acked if key.startswith(b"2:")][:2]
        dead, undead = [payload for payload, qos in self.wills.items() if qos == 2][:2]
        del ear.heard[lost], ear.heard[dead]
        ear.heard.update([doubled, undead, b"2:nobody:0"])
        self.devices[0].acked.append(str(self.devices[0].sent))
        self.keeper.sent += 1

    def _stored(self) -> list[Counter[int]]:
        settle(self.platform)
        return [Counter(round(value) for _, _, value in self.platform.readings(each.client)) for each in self.devices]
