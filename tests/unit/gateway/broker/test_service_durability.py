"""Whatever happens between a publisher and a subscriber whose sessions are kept: every message that was acknowledged
arrives, and one of QoS 2 arrives once.

The process may end at every boundary of a commit, on either side of it; commits may find no room; both ends lose their
connections whenever they like, and come back with what they remember.
"""

import asyncio

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.unit.gateway.broker.conftest import FULL, Killed, World

from ringmain.gateway.broker.message import QUEUED, UNRELEASED


class Receiver:
    """The subscriber's end: an application that remembers what it was told, and the protocol state that a client keeps.
    `pending` is what it has not answered yet on this connection.
    """

    def __init__(self):
        self.told = []
        self.received = set()
        self.pending = []
        self.seen = self.seen_releases = 0

    def forget_connection(self):
        self.pending, self.seen, self.seen_releases = [], 0, 0

    def look(self, link):
        for (waiting, dup), identifier in zip(link.messages[self.seen :], link.identifiers[self.seen :], strict=True):
            if waiting.qos == 1:
                self.told.append((1, waiting.message.payload))
                self.pending.append(("PUBACK", identifier))
                continue
            if identifier not in self.received:
                self.received.add(identifier)
                self.told.append((2, waiting.message.payload))
            else:
                assert dup, "an identifier that is in use, for a message that is not sent again"
            self.pending.append(("PUBREC", identifier))
        self.seen = len(link.messages)
        for identifier in link.released[self.seen_releases :]:
            self.received.discard(identifier)
            self.pending.append(("PUBCOMP", identifier))
        self.seen_releases = len(link.released)

    def answer(self, client, place):
        kind, identifier = self.pending.pop(place % len(self.pending))
        if kind == "PUBREC":
            client.receive(identifier)
        else:
            client.acknowledge(identifier)


class Sender:
    """The publisher's end, and the machine and the depositor between it and the broker."""

    def __init__(self):
        self.next = 1
        self.waiting = {}
        """Identifier → (QoS, payload): what has no PUBACK or PUBREC."""
        self.releasing = set()
        """What has a PUBREC and no PUBCOMP."""
        self.acknowledged = []
        self.tried = {}
        """By identifier: of which connection's machine the message was, so that it is not taken again."""

    def hold(self):
        pass

    resume = hold


class Deposit:
    def __init__(self, owner, identifier, world):
        self.owner, self.identifier, self.world = owner, identifier, world

    def settle(self, _, failed):
        self.owner.settled(self.identifier, failed, self.world)

    def hold(self):
        pass

    resume = hold

    def refuse(self, *_):
        raise AssertionError("nothing is refused here")


class Kept(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.receiver, self.sender = Receiver(), Sender()
        self.numbers = 0

    def do(self, work):
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self):
        async def start():
            self.world = World()
            self.subscriber, self.publisher = self.world.client("sub"), self.world.client("pub")
            self.subscriber.connect(room=4)
            self.publisher.connect()
            await self.world.commit()
            self.subscriber.subscribe("#", 2)
            await self.world.commit()
            self.taken = set()
            self.known = set()

        self.do(start())

    # -- the publisher --------------------------------------------------------------------------------------

    @property
    def publisher_is_in(self):
        return self.publisher.session is not None and self.publisher.session.online

    @property
    def subscriber_is_in(self):
        return self.subscriber.session is not None and self.subscriber.session.online

    @precondition(lambda self: self.publisher_is_in and len(self.sender.waiting) < 20)
    @rule(qos=st.sampled_from([1, 2]))
    def publish(self, qos):
        self.numbers += 1
        identifier, payload = self.sender.next, b"%d" % self.numbers
        self.sender.next += 1
        self.sender.waiting[identifier] = (qos, payload)
        self.send(identifier)

    def send(self, identifier):
        """One PUBLISH: what the machine and the connection do with it."""
        qos, payload = self.sender.waiting[identifier]
        raw = identifier.to_bytes(2, "big")
        session = self.publisher.session
        if qos == 2:
            if raw in self.taken:
                return  # it is on its way to its commit
            if raw in session.unreleased:
                self.acknowledge(identifier)
                return
            self.taken.add(raw)
            self.known.add(raw)
            self.world.broker.take(session, [raw])
        self.publisher.publish("t", payload, qos)
        self.world.broker.count("t", 1)
        self.world.intake.enlist(Deposit(self, identifier, self.world), [raw])

    def settled(self, identifier, failed, world):
        if world is not self.world:
            return
        raw = identifier.to_bytes(2, "big")
        self.taken.discard(raw)
        if failed:
            if raw in self.publisher.session.unreleased:
                self.world.broker.untake(self.publisher.session, [raw])
            self.known.discard(raw)
        elif identifier in self.sender.waiting and self.publisher_is_in:
            self.acknowledge(identifier)

    def acknowledge(self, identifier):
        qos, payload = self.sender.waiting.pop(identifier)
        self.sender.acknowledged.append((qos, payload))
        if qos == 2:
            self.sender.releasing.add(identifier)

    @precondition(lambda self: self.publisher_is_in and self.sender.releasing)
    @rule()
    def release(self):
        identifier = min(self.sender.releasing)
        raw, world = identifier.to_bytes(2, "big"), self.world

        def then(failed):
            if failed is None and world is self.world:
                self.sender.releasing.discard(identifier)
                self.known.discard(raw)

        if raw in self.known:
            self.world.broker.release(self.publisher.session, raw, then)
        else:
            then(None)

    @precondition(lambda self: self.publisher_is_in and not self.taken)
    @rule()
    def send_again(self):
        for identifier in sorted(self.sender.waiting):
            if self.sender.waiting[identifier][0] == 2 or not self.world.pending:
                self.send(identifier)

    @precondition(lambda self: self.publisher_is_in)
    @rule()
    def publisher_goes(self):
        self.publisher.lose()

    @precondition(lambda self: not self.publisher_is_in)
    @rule()
    def publisher_comes(self):
        self.publisher.session = None
        self.publisher.connect()
        self.do(self.commit_or_die())
        self.meet()

    def meet(self):
        """What the machine of a new connection is told (`accept`)."""
        self.known = set(self.publisher.session.unreleased) if self.publisher.session else set()

    # -- the subscriber -------------------------------------------------------------------------------------

    @precondition(lambda self: self.subscriber_is_in)
    @rule(place=st.integers(0, 10), often=st.integers(1, 6))
    def answer(self, place, often):
        for _ in range(often):
            self.receiver.look(self.subscriber.link)
            if self.receiver.pending:
                self.receiver.answer(self.subscriber, place)
        self.receiver.look(self.subscriber.link)

    @precondition(lambda self: self.subscriber_is_in)
    @rule()
    def subscriber_goes(self):
        self.receiver.look(self.subscriber.link)
        self.subscriber.lose()
        self.receiver.forget_connection()

    @precondition(lambda self: not self.subscriber_is_in)
    @rule(room=st.integers(1, 5))
    def subscriber_comes(self, room):
        self.subscriber.session = None
        self.receiver.forget_connection()
        self.subscriber.connect(room=room)
        self.do(self.commit_or_die())
        if self.subscriber.session:
            assert self.subscriber.present

    # -- the log --------------------------------------------------------------------------------------------

    async def commit_or_die(self):
        await self.world.intake._commit()
        if self.subscriber_is_in:
            self.receiver.look(self.subscriber.link)

    @rule()
    def commit(self):
        self.do(self.commit_or_die())

    @rule()
    def commit_without_room(self):
        self.world.queue.failing = FULL
        self.do(self.commit_or_die())
        self.world.queue.failing = None

    @rule(committed=st.booleans())
    def process_ends(self, committed):
        """With what is open on the disk, and nobody told; or not even that."""

        async def end():
            if self.subscriber_is_in:
                self.receiver.look(self.subscriber.link)
            if committed:
                self.world.queue.dies = True
                with pytest.raises(Killed):
                    await self.world.intake._commit()
                self.world.queue.dies = False
            self.world = await self.world.restarted()
            self.taken, self.known = set(), set()
            self.receiver.forget_connection()
            self.subscriber, self.publisher = self.world.client("sub"), self.world.client("pub")

        self.do(end())

    # -- the end --------------------------------------------------------------------------------------------

    def teardown(self):
        try:
            if hasattr(self, "world"):
                self.do(self.finish())
                self.judge()
        finally:
            self.loop.close()

    async def finish(self):
        """Everybody comes, and everything that may happen happens."""
        for client in (self.subscriber, self.publisher):
            if client.session is None or not client.session.online:
                client.session = None
                if client is self.subscriber:
                    self.receiver.forget_connection()
                client.connect()
        await self.world.commit()
        self.meet()
        for _ in range(100):
            for identifier in sorted(self.sender.waiting):
                self.send(identifier)
            await self.world.commit()
            while self.sender.releasing:
                self.release()
                await self.world.commit()
            self.receiver.look(self.subscriber.link)
            while self.receiver.pending:
                self.receiver.answer(self.subscriber, 0)
                await self.world.commit()
                self.receiver.look(self.subscriber.link)
            if not (self.sender.waiting or self.subscriber.session.size):
                return
        raise AssertionError(f"it does not end: {self.sender.waiting}, {self.subscriber.session.size} wait")

    def judge(self):
        told = [payload for _, payload in self.receiver.told]
        twice = [payload for qos, payload in self.receiver.told if qos == 2]
        assert len(twice) == len(set(twice)), "a message of QoS 2 came twice"
        missing = [payload for _, payload in self.sender.acknowledged if payload not in told]
        assert missing == [], "acknowledged, and not delivered"
        assert len(self.sender.acknowledged) == self.numbers
        assert self.world.dropped == []
        assert (self.world.queue.keys(QUEUED), self.world.queue.keys(UNRELEASED)) == ([], []), "left behind"


Kept.TestCase.settings = settings(
    max_examples=settings.default.max_examples,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestKept = pytest.mark.slow(Kept.TestCase)
