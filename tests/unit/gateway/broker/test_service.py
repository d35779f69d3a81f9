"""The broker: what nobody may hear, what is not durable, and then who gets what, how often and in which order."""

import pytest
from tests.unit.gateway.broker.conftest import FULL

from ringmain.gateway.broker.access import OpenAccess
from ringmain.gateway.broker.message import COUNTED, QUEUED, RETAINED, SESSIONS, UNRELEASED, Message
from ringmain.model.errors import Failed, Refused
from ringmain.protocols.mqtt.properties import Property

EXPIRY = Property.MESSAGE_EXPIRY
NUMBER = Property.SUBSCRIPTION_IDENTIFIER


def payloads(client):
    return client.link.payloads


async def pair(world, *, qos=2, **more):
    """A publisher, and a subscriber whose session is kept, on everything."""
    subscriber = world.client("sub").connect(**more)
    await world.commit()
    subscriber.subscribe("#", qos)
    publisher = world.client("pub").connect(clean=True, expiry_s=0)
    await world.commit()
    return publisher, subscriber


class TestTenants:
    """Nothing crosses. Each test fails where one realm is used for two tenants."""

    async def two(self, world):
        mine, other = world.client("c", "t1").connect(), world.client("c", "t2").connect()
        await world.commit()
        for client in (mine, other):
            client.subscribe("#")
        await world.commit()
        return mine, other

    @pytest.mark.parametrize("qos", [0, 1, 2])
    async def test_no_message_is_heard_by_another(self, world, qos):
        mine, other = await self.two(world)
        mine.publish("a", b"secret", qos)
        await world.commit()
        assert payloads(mine) == [b"secret"]
        assert payloads(other) == []

    async def test_no_retained_message_is_found_by_another(self, world):
        mine, other = await self.two(world)
        mine.publish("a", b"secret", 1, retain=True)
        await world.commit()
        other.subscribe("a")
        await world.commit()
        assert payloads(other) == []
        other.publish("a", b"", 1, retain=True)
        await world.commit()
        assert world.broker.realm("t1").retained.get("a").payload == b"secret"

    async def test_no_will_is_heard_by_another(self, world, will):
        mine, other = await self.two(world)
        world.client("w", "t1").connect(clean=True, expiry_s=0, will=will()).lose()
        await world.commit()
        world.client("w", "t1").connect(clean=True, expiry_s=0, will=will()).lose()
        await world.commit()
        assert payloads(mine) != []
        assert payloads(other) == []

    async def test_no_session_is_taken_over_by_another(self, world):
        mine, other = await self.two(world)
        assert not mine.link.was_taken_over
        assert not other.link.was_taken_over
        assert mine.session is not other.session
        assert not world.client("c", "t3").connect().present

    async def test_no_shared_subscription_is_shared_with_another(self, world):
        mine, other = await self.two(world)
        for client in (mine, other):
            client.unsubscribe("#")
            client.subscribe("$share/g/a")
        await world.commit()
        for n in range(4):
            mine.publish("a", b"%d" % n)
        await world.commit()
        assert len(payloads(mine)) == 4
        assert payloads(other) == []

    async def test_all_of_it_after_a_restart_too(self, world):
        mine, other = await self.two(world)
        mine.publish("a", b"secret", 1, retain=True)
        await world.commit()
        again = await world.restarted()
        other = again.client("c", "t2").connect()
        await again.commit()
        other.subscribe("a")
        again.client("p", "t1").connect(clean=True, expiry_s=0).publish("b", b"more")
        await again.commit()
        assert other.present
        assert payloads(other) == []

    async def test_the_same_client_id_of_another_owner_is_another_session(self, world):
        class Other(OpenAccess):
            owner = "user/other"

            def __init__(self):
                super().__init__("t", frozenset())
                self.owner = "user/other"

        first = world.client("c").connect()
        second = world.client("c", access=Other()).connect()
        await world.commit()
        assert not first.link.was_taken_over
        assert second.present is False


class TestNothingBeforeItIsDurable:
    async def test_a_session_is_not_there_before_its_commit(self, world):
        client = world.client().connect()
        assert client.session is None
        await world.commit()
        assert (client.present, client.failed) == (False, None)

    async def test_a_subscription_is_not_granted_before_its_commit(self, world):
        client = world.client().connect()
        await world.commit()
        answers = client.subscribe("a")
        assert answers == []
        await world.commit()
        assert answers == [None]

    @pytest.mark.parametrize("qos", [1, 2])
    async def test_a_message_does_not_leave_before_its_commit(self, world, qos):
        publisher, subscriber = await pair(world)
        publisher.publish("a", b"x", qos)
        assert payloads(subscriber) == []
        await world.commit()
        assert subscriber.link.got == [(b"x", qos, 1, False)]

    async def test_qos_0_waits_for_nothing(self, world):
        publisher, subscriber = await pair(world)
        publisher.publish("a", b"x", 0)
        assert subscriber.link.got == [(b"x", 0, 0, False)]
        assert world.queue.keys(QUEUED) == []

    async def test_a_session_that_is_not_kept_leaves_nothing_on_disk(self, world):
        publisher, subscriber = await pair(world)
        subscriber.lose(expiry_s=0)
        only = world.client("x").connect(clean=True, expiry_s=0)
        only.subscribe("#")
        publisher.publish("a", b"x", 2)
        await world.commit()
        assert payloads(only) == [b"x"]
        only.lose()
        publisher.lose()
        await world.commit()
        assert world.queue._records == {}


class TestStorageFull:
    """Nothing is acknowledged, and when there is room again memory and disk say the same."""

    async def agrees(self, world):
        """What a restart would read is what is in memory."""
        await world.commit()
        again = await world.restarted()
        for key, session in world.broker._sessions.items():
            if session.is_kept:
                other = again.broker._sessions[key]
                assert other.held == session.held
                assert other.unreleased == session.unreleased
                assert other.size == session.size
                assert other.expiry_s == session.expiry_s
        for tenant, realm in world.broker._realms.items():
            other = again.broker.realm(tenant)
            assert other.retained.match("#") == realm.retained.match("#")
            assert other.published == realm.published
            assert other.subscriptions.count == realm.subscriptions.count

    async def full(self, world):
        world.queue.failing = FULL
        await world.commit()
        world.queue.failing = None

    async def test_a_session(self, world):
        client = world.client().connect()
        await self.full(world)
        assert client.failed is FULL
        await self.agrees(world)

    async def test_a_subscription(self, world):
        _, subscriber = await pair(world)
        answers = subscriber.subscribe("a/b", 1)
        await self.full(world)
        assert answers == [FULL]
        assert list(subscriber.session.held) == ["#"]
        await self.agrees(world)

    async def test_a_subscription_in_place_of_another(self, world):
        publisher, subscriber = await pair(world)
        answers = subscriber.subscribe("#", 0)
        await self.full(world)
        assert answers == [FULL]
        publisher.publish("a", b"x", 2)
        await world.commit()
        assert [qos for _, qos, _, _ in subscriber.link.got] == [2]
        await self.agrees(world)

    async def test_the_end_of_a_subscription(self, world):
        publisher, subscriber = await pair(world)
        found, answers = subscriber.unsubscribe("#")
        await self.full(world)
        assert (found, answers) == ([True], [FULL])
        publisher.publish("a", b"x", 1)
        await world.commit()
        assert payloads(subscriber) == [b"x"]
        await self.agrees(world)

    @pytest.mark.parametrize("qos", [1, 2])
    async def test_a_message(self, world, qos):
        publisher, subscriber = await pair(world)
        publisher.publish("a", b"x", qos)
        await self.full(world)
        await world.commit()
        assert payloads(subscriber) == []
        assert subscriber.session.size == 0
        await self.agrees(world)

    async def test_a_retained_message(self, world):
        publisher, _ = await pair(world)
        publisher.publish("a", b"x", 1, retain=True)
        await self.full(world)
        await self.agrees(world)
        publisher.publish("a", b"", 1, retain=True)
        await self.full(world)
        await self.agrees(world)

    async def test_what_was_counted(self, world):
        await pair(world)
        world.broker.count("t", 3)
        await world.commit()
        world.broker.count("t", 4)
        await self.full(world)
        world.broker.count("t", 1)
        await self.agrees(world)
        assert world.broker.realm("t").published == 4

    async def test_the_release_of_a_message_that_was_taken(self, world):
        publisher = world.client("pub").connect()
        await world.commit()
        world.broker.take(publisher.session, [b"\0\1"])
        await world.commit()
        answers = []
        world.broker.release(publisher.session, b"\0\1", answers.append)
        await self.full(world)
        assert answers == [], "no other answer than PUBCOMP: it waits for room"
        await world.commit()
        assert answers == [None]
        assert publisher.session.unreleased == set()
        await self.agrees(world)

    async def test_a_message_that_was_taken_and_is_refused(self, world):
        publisher = world.client("pub").connect()
        await world.commit()
        world.broker.take(publisher.session, [b"\0\1"])
        await self.full(world)
        world.broker.untake(publisher.session, [b"\0\1"])
        await self.agrees(world)
        assert publisher.session.unreleased == set()

    async def test_a_pubrec_of_the_subscriber(self, world):
        publisher, subscriber = await pair(world)
        publisher.publish("a", b"x", 2)
        await world.commit()
        subscriber.receive(1)
        await self.full(world)
        assert subscriber.link.released == []
        subscriber.lose()
        subscriber.connect()
        await world.commit()
        assert (subscriber.link.got, subscriber.link.released) == ([], [1]), (
            "it was tried again, and is on the disk now"
        )
        await self.agrees(world)


class TestDelivery:
    @pytest.mark.parametrize("published", [0, 1, 2])
    @pytest.mark.parametrize("subscribed", [0, 1, 2])
    async def test_the_lower_qos_of_both(self, world, published, subscribed):
        publisher, subscriber = await pair(world, qos=subscribed)
        publisher.publish("a", b"x", published)
        await world.commit()
        assert [qos for _, qos, _, _ in subscriber.link.got] == [min(published, subscribed)]

    async def test_whether_anybody_has_subscribed(self, world):
        publisher, subscriber = await pair(world)
        assert publisher.publish("a") is True
        subscriber.unsubscribe("#")
        assert publisher.publish("a") is False
        assert not world.broker.listens("t")

    async def test_again_after_the_connection_was_lost_in_order_and_with_the_same_identifiers(self, world):
        publisher, subscriber = await pair(world)
        for n in range(6):
            publisher.publish("a", b"%d" % n, 1 + n % 2)
        await world.commit()
        first = subscriber.link.got
        assert [identifier for _, _, identifier, _ in first] == [1, 2, 3, 4, 5, 6]
        subscriber.acknowledge(1)
        subscriber.acknowledge(3)
        subscriber.receive(2)
        await world.commit()
        assert subscriber.link.released == [2]
        subscriber.lose()
        publisher.publish("a", b"6")
        await world.commit()
        subscriber.connect()
        await world.commit()
        assert subscriber.present
        assert subscriber.link.released == [2]
        assert subscriber.link.got == [(b"3", 2, 4, True), (b"4", 1, 5, True), (b"5", 2, 6, True), (b"6", 1, 7, False)]

    async def test_the_same_after_a_restart(self, world):
        publisher, subscriber = await pair(world)
        for n in range(4):
            publisher.publish("a", b"%d" % n, 2)
        await world.commit()
        subscriber.receive(1)
        subscriber.acknowledge(2)
        await world.commit()
        again = await world.restarted()
        subscriber = again.client("sub").connect()
        await again.commit()
        assert subscriber.present
        assert subscriber.link.released == [1]
        assert subscriber.link.got == [(b"2", 2, 3, True), (b"3", 2, 4, True)]
        again.client("pub").connect(clean=True, expiry_s=0).publish("a", b"4", 2)
        await again.commit()
        assert subscriber.link.got[-1] == (b"4", 2, 5, False)

    async def test_no_more_than_the_peer_takes_at_a_time(self, world):
        publisher, subscriber = await pair(world, room=2)
        for n in range(5):
            publisher.publish("a", b"%d" % n)
        await world.commit()
        assert payloads(subscriber) == [b"0", b"1"]
        subscriber.acknowledge(2)
        assert payloads(subscriber) == [b"0", b"1", b"2"]

    async def test_what_is_too_large_for_the_peer_is_dropped_and_counted(self, world):
        publisher, subscriber = await pair(world, bytes_max=3)
        publisher.publish("a", b"long")
        publisher.publish("a", b"x")
        await world.commit()
        assert payloads(subscriber) == [b"x"]
        assert world.dropped == ["too_large"]
        await world.commit()
        assert len(world.queue.keys(QUEUED)) == 1

    async def test_who_does_not_read_gets_qos_0_no_more_and_the_rest_later(self, world):
        publisher, subscriber = await pair(world)
        subscriber.link.choked = True
        publisher.publish("a", b"0", 0)
        publisher.publish("a", b"1", 1)
        await world.commit()
        assert payloads(subscriber) == []
        assert world.dropped == ["not_read"]
        subscriber.link.choked = False
        subscriber.session.pump(0)
        assert payloads(subscriber) == [b"1"]

    @pytest.mark.parametrize("qos", [0, 1, 2])
    async def test_the_queue_has_a_limit_and_what_is_beyond_it_is_counted(self, world, qos):
        world.broker._delivery._program_queue_max = 3
        publisher, subscriber = await pair(world, room=0)
        for n in range(3):
            publisher.publish("a", b"%d" % n, 1)
        for _ in range(4):
            publisher.publish("a", b"more", qos)
        await world.commit()
        assert world.dropped == ["queue_full"] * 4
        assert len(world.queue.keys(QUEUED)) == 3
        subscriber.link.room = 10
        subscriber.session.pump(0)
        assert payloads(subscriber) == [b"0", b"1", b"2"]

    async def test_qos_0_keeps_its_place_behind_what_waits_and_counts(self, world):
        world.broker._delivery._program_queue_max = 5
        publisher, subscriber = await pair(world, room=0)
        publisher.publish("a", b"first", 1)
        await world.commit()
        for _ in range(10):
            publisher.publish("a", b"0", 0)
        assert subscriber.session.size == 5
        assert world.dropped == ["queue_full"] * 6
        subscriber.lose()
        assert subscriber.session.size == 1

    async def test_qos_0_for_who_is_not_there_is_dropped_and_counted(self, world):
        publisher, subscriber = await pair(world)
        subscriber.lose()
        publisher.publish("a", b"0", 0)
        publisher.publish("a", b"1", 1)
        publisher.publish("a", b"0", 0)
        await world.commit()
        publisher.publish("a", b"0", 0)
        subscriber.connect()
        await world.commit()
        assert payloads(subscriber) == [b"1"]
        assert world.dropped == ["not_read"] * 3

    async def test_what_comes_behind_one_of_qos_2_stays_behind_it(self, world):
        """[MQTT-4.6.0-6] for whoever hears all of it at QoS 0."""
        publisher, subscriber = world.client("p").connect(), world.client("s").connect()
        await world.commit()
        subscriber.subscribe("a", 0)
        await world.commit()
        for payload, qos in ((b"one", 2), (b"two", 1), (b"three", 0)):
            publisher.publish("a", payload, qos)
        await world.commit()
        assert payloads(subscriber) == [b"one", b"two", b"three"]
        publisher.publish("a", b"four", 0)
        assert payloads(subscriber)[-1] == b"four", "nothing waits any more"

    @pytest.mark.parametrize("late_s", [9, 10, 11])
    async def test_a_message_that_has_expired_does_not_come(self, world, late_s):
        publisher, subscriber = await pair(world)
        subscriber.lose()
        publisher.publish("a", b"x", 1, found={EXPIRY: 10})
        await world.commit()
        world.wait(late_s)
        subscriber.connect()
        await world.commit()
        assert payloads(subscriber) == ([b"x"] if late_s < 10 else [])
        assert world.dropped == ([] if late_s < 10 else ["expired"])

    async def test_when_it_expires_survives_a_restart(self, world):
        publisher, subscriber = await pair(world)
        subscriber.lose()
        publisher.publish("a", b"x", 1, found={EXPIRY: 10})
        publisher.publish("a", b"y", 1)
        await world.commit()
        again = await world.restarted()
        again.wait(10)
        subscriber = again.client("sub").connect()
        await again.commit()
        assert payloads(subscriber) == [b"y"]

    async def test_who_may_hear_it_is_asked_when_it_is_delivered(self, world):
        publisher, subscriber = await pair(world, room=0)
        publisher.publish("a", b"x")
        await world.commit()
        subscriber.session.access = type("Nothing", (), {"receives": lambda self, topic: False})()
        subscriber.link.room = 1
        subscriber.session.pump(0)
        assert payloads(subscriber) == []
        assert world.dropped == ["not_authorized"]


class TestSubscriptions:
    async def test_several_that_match_bring_one_copy_at_the_best_qos_with_all_identifiers(self, world):
        publisher, subscriber = await pair(world)
        subscriber.unsubscribe("#")
        subscriber.subscribe("a/+", 1, number=7)
        subscriber.subscribe("a/#", 2, number=9)
        subscriber.subscribe("a/b", 0)
        subscriber.subscribe("b", 2, number=11)
        await world.commit()
        publisher.publish("a/b", b"x", 2)
        await world.commit()
        ((waiting, _),) = subscriber.link.messages
        assert (waiting.qos, sorted(waiting.numbers)) == (2, [7, 9])

    async def test_no_local(self, world):
        client, other = world.client("c").connect(), world.client("d").connect()
        await world.commit()
        client.subscribe("a", no_local=True)
        other.subscribe("a")
        await world.commit()
        assert client.publish("a", b"mine") is True
        other.publish("a", b"other")
        await world.commit()
        assert payloads(client) == [b"other"]
        assert payloads(other) == [b"mine", b"other"]

    async def test_shared_each_to_one_in_turn_and_each_once(self, world):
        publisher, subscriber = await pair(world)
        members = [world.client(f"m{n}").connect() for n in range(3)]
        await world.commit()
        for member in members:
            member.subscribe("$share/g/a")
        await world.commit()
        for n in range(9):
            publisher.publish("a", b"%d" % n)
        await world.commit()
        assert [len(payloads(member)) for member in members] == [3, 3, 3]
        assert sorted(each for member in members for each in payloads(member)) == [b"%d" % n for n in range(9)]
        assert len(payloads(subscriber)) == 9
        members[1].lose()
        for _ in range(4):
            publisher.publish("a", b"later")
        await world.commit()
        assert len(payloads(members[1])) == 3
        assert len(payloads(members[0])) + len(payloads(members[2])) == 10

    async def test_shared_and_plain_are_copies_of_their_own(self, world):
        publisher, subscriber = await pair(world)
        subscriber.subscribe("$share/g/#")
        await world.commit()
        publisher.publish("a")
        await world.commit()
        assert payloads(subscriber) == [b"x", b"x"]

    async def test_what_ends_is_heard_no_more_and_was_not_there_twice(self, world):
        publisher, subscriber = await pair(world)
        assert subscriber.unsubscribe("#")[0] == [True]
        assert subscriber.unsubscribe("#")[0] == [False]
        publisher.publish("a")
        await world.commit()
        assert payloads(subscriber) == []

    async def test_they_survive_a_restart(self, world):
        _, subscriber = await pair(world)
        subscriber.subscribe("$share/g/x", 1, number=5, retain_as_published=True)
        subscriber.unsubscribe("#")
        await world.commit()
        again = await world.restarted()
        (session,) = (it for key, it in again.broker._sessions.items() if key[2] == "sub")
        assert session.held == subscriber.session.held
        assert again.broker.realm("t").subscriptions.count == 1


class TestRetained:
    async def kept(self, world):
        publisher = world.client("pub").connect(clean=True, expiry_s=0)
        publisher.publish("a", b"kept", 1, retain=True)
        subscriber = world.client("sub").connect()
        await world.commit()
        return publisher, subscriber

    @pytest.mark.parametrize(("handling", "first", "again"), [(0, 1, 2), (1, 1, 1), (2, 0, 0)])
    async def test_handling(self, world, handling, first, again):
        _, subscriber = await self.kept(world)
        for wanted in (first, again):
            subscriber.subscribe("a", 1, handling)
            await world.commit()
            assert len(payloads(subscriber)) == wanted
        assert all(waiting.retain for waiting, _ in subscriber.link.messages)

    @pytest.mark.parametrize("as_published", [False, True])
    async def test_as_published(self, world, as_published):
        publisher, subscriber = await self.kept(world)
        subscriber.subscribe("b", 1, retain_as_published=as_published)
        await world.commit()
        publisher.publish("b", b"1", 1, retain=True)
        publisher.publish("b", b"2", 1)
        await world.commit()
        assert [waiting.retain for waiting, _ in subscriber.link.messages] == [as_published, False]

    async def test_a_shared_subscription_gets_none(self, world):
        _, subscriber = await self.kept(world)
        subscriber.subscribe("$share/g/a")
        await world.commit()
        assert payloads(subscriber) == []

    async def test_the_last_one_stands_and_an_empty_one_takes_it_away(self, world):
        publisher, subscriber = await self.kept(world)
        publisher.publish("a", b"last", 0, retain=True)
        publisher.publish("b", b"x", 0, retain=True)
        publisher.publish("b", b"", 0, retain=True)
        await world.commit()
        assert len(world.queue.keys(RETAINED)) == 1
        again = await world.restarted()
        subscriber = again.client("new").connect()
        await again.commit()
        subscriber.subscribe("#")
        await again.commit()
        assert payloads(subscriber) == [b"last"]

    async def test_one_that_has_expired_is_not_sent(self, world):
        publisher, subscriber = await self.kept(world)
        publisher.publish("b", b"short", 1, retain=True, found={EXPIRY: 10})
        await world.commit()
        world.wait(10)
        subscriber.subscribe("#")
        await world.commit()
        assert payloads(subscriber) == [b"kept"]

    async def test_there_is_a_limit_and_what_is_beyond_it_is_delivered_and_counted(self, world, monkeypatch):
        monkeypatch.setattr("ringmain.gateway.broker.retained.RETAINED_MAX", 1)
        publisher, subscriber = await self.kept(world)
        subscriber.subscribe("#", 0, 2)
        publisher.publish("b", b"more", 0, retain=True)
        publisher.publish("a", b"instead", 0, retain=True)
        await world.commit()
        assert payloads(subscriber) == [b"more", b"instead"]
        assert world.dropped == ["retained_full"]
        assert [it.payload for it in world.broker.realm("t").retained.match("#")] == [b"instead"]


class TestSessions:
    async def test_clean_start_ends_the_one_before(self, world):
        publisher, subscriber = await pair(world)
        subscriber.lose()
        publisher.publish("a")
        await world.commit()
        subscriber.connect(clean=True)
        await world.commit()
        assert subscriber.present is False
        assert payloads(subscriber) == []
        assert len(world.queue.keys(SESSIONS)) == 1
        assert world.queue.keys(QUEUED) == []

    @pytest.mark.parametrize(("after_s", "present"), [(99, True), (100, False), (101, False)])
    @pytest.mark.parametrize("restart", [False, True])
    async def test_it_ends_when_its_time_is_over(self, world, after_s, present, restart):
        client = world.client().connect(expiry_s=100)
        await world.commit()
        client.subscribe("#")
        client.lose()
        await world.commit()
        if restart:
            world = await world.restarted()
            client = world.client()
        world.wait(after_s)
        await world.commit()
        assert bool(world.queue.keys(SESSIONS)) is present
        client.connect()
        await world.commit()
        assert client.present is present
        assert world.broker.realm("t").subscriptions.count == present

    async def test_who_was_connected_when_the_process_ended_is_gone_since_the_start(self, world):
        world.client().connect(expiry_s=100)
        await world.commit()
        world.clock.advance(1_000)
        again = await world.restarted()
        again.wait(99)
        assert again.client().connect().present is None
        await again.commit()
        assert len(again.broker._sessions) == 1

    async def test_a_disconnect_may_end_it_at_once(self, world):
        _, subscriber = await pair(world)
        world.broker.take(subscriber.session, [b"\0\1"])
        await world.commit()
        subscriber.lose(expiry_s=0)
        await world.commit()
        assert [world.queue.keys(kind) for kind in (SESSIONS, UNRELEASED, QUEUED)] == [[], [], []]

    async def test_another_connection_takes_it_over(self, world):
        publisher, first = await pair(world)
        link = first.link
        second = world.client("sub").connect()
        await world.commit()
        assert link.was_taken_over
        assert second.present
        publisher.publish("a")
        await world.commit()
        assert link.payloads == []
        assert payloads(second) == [b"x"]

    async def test_the_end_of_a_connection_that_was_taken_over_changes_nothing(self, world):
        _, first = await pair(world)
        link, session = first.link, first.session
        second = world.client("sub").connect()
        await world.commit()
        world.broker.close(session, link, with_will=True, expiry_s=0)
        assert second.session.online

    async def test_too_many(self, world, monkeypatch):
        monkeypatch.setattr("ringmain.gateway.broker.service.SESSIONS_MAX", 1)
        world.client("a").connect()
        with pytest.raises(Refused):
            world.client("b").connect()
        world.client("a").connect()

    async def test_an_owner_that_is_no_more_leaves_nothing(self, world, will):
        _, subscriber = await pair(world)
        gone = world.client("gone").connect(will=will())
        await world.commit()
        gone.lose(expiry_s=50)
        world.broker.forget("t", "")
        await world.commit()
        assert world.queue._records == {}
        assert payloads(subscriber) == []

    async def test_what_waits_for_nobody_is_cleared_at_the_start(self, world):
        publisher, subscriber = await pair(world)
        subscriber.lose()
        publisher.publish("a", b"x", 2)
        world.broker.take(subscriber.session, [b"\0\1"])
        await world.commit()
        del world.queue._records[world.queue.keys(SESSIONS)[0]]
        again = await world.restarted()
        await again.commit()
        assert (again.queue.keys(QUEUED), again.queue.keys(UNRELEASED)) == ([], [])


class TestWills:
    async def listener(self, world):
        client = world.client("ear").connect()
        await world.commit()
        client.subscribe("gone", 2)
        await world.commit()
        return client

    @pytest.mark.parametrize(("with_will", "heard"), [(True, [b"bye"]), (False, [])])
    async def test_it_comes_when_the_connection_is_lost_and_only_then(self, world, will, with_will, heard):
        ear = await self.listener(world)
        client = world.client().connect(clean=True, expiry_s=0, will=will())
        await world.commit()
        client.lose(with_will=with_will)
        await world.commit()
        world.wait(1_000)
        await world.commit()
        assert payloads(ear) == heard
        assert len(world.queue.keys(SESSIONS)) == 1, "only the listener's is left"

    @pytest.mark.parametrize(
        ("delay_s", "expiry_s", "at_s"), [(10, 100, 10), (10, 5, 5), (10, 10, 10), (0, 100, 0), (10, 0, 0)]
    )
    async def test_after_its_delay_or_with_the_session(self, world, will, delay_s, expiry_s, at_s):
        ear = await self.listener(world)
        client = world.client().connect(expiry_s=expiry_s, will=will(delay_s=delay_s))
        await world.commit()
        client.lose()
        await world.commit()
        if at_s:
            world.wait(at_s - 0.001)
            await world.commit()
            assert payloads(ear) == []
            world.wait(0.001)
            await world.commit()
        assert payloads(ear) == [b"bye"]

    async def test_who_comes_back_in_time_has_none(self, world, will):
        ear = await self.listener(world)
        client = world.client().connect(will=will(delay_s=10))
        await world.commit()
        client.lose()
        world.wait(9)
        client.connect()
        await world.commit()
        world.wait(100)
        await world.commit()
        assert payloads(ear) == []

    async def test_a_clean_start_does_not_wait_for_the_delay(self, world, will):
        ear = await self.listener(world)
        client = world.client().connect(will=will(delay_s=10))
        await world.commit()
        client.lose()
        client.connect(clean=True)
        await world.commit()
        assert payloads(ear) == [b"bye"]

    @pytest.mark.parametrize(("delay_s", "heard"), [(0, [b"bye"]), (10, [])])
    async def test_a_takeover(self, world, will, delay_s, heard):
        ear = await self.listener(world)
        world.client().connect(will=will(delay_s=delay_s))
        await world.commit()
        first = next(it for it in world.broker._sessions.values() if it.key[2] == "c").link.client
        assert first.session is not None
        world.client().connect()
        await world.commit()
        world.wait(50)
        await world.commit()
        assert payloads(ear) == heard

    @pytest.mark.parametrize(("delay_s", "expiry_s"), [(0, 0), (0, 50), (20, 50), (20, 20), (50, 20)])
    @pytest.mark.parametrize("lost_before", [False, True])
    async def test_it_comes_after_a_restart_too_once(self, world, will, delay_s, expiry_s, lost_before):
        client = world.client("a").connect(expiry_s=expiry_s, will=will(delay_s=delay_s))
        await world.commit()
        if lost_before and min(delay_s, expiry_s):
            client.lose()
            await world.commit()
        await self.listener(world)  # its session is read back after the one with the will
        again = await world.restarted()
        again.broker.tick()
        ear = again.client("ear").connect()
        await again.commit()
        if min(delay_s, expiry_s):
            assert payloads(ear) == []
        again.wait(min(delay_s, expiry_s))
        await again.commit()
        assert payloads(ear) == [b"bye"]
        third = await again.restarted()
        third.wait(1_000)
        await third.commit()
        ear = third.client("ear").connect(clean=False)
        third.broker.tick()
        await third.commit()
        assert payloads(ear) == []

    async def test_of_those_judged_elsewhere_another_decides(self, world, will):
        ear, taken = await self.listener(world), []
        world.broker.on_will = lambda session, message: taken.append((session.key, message)) or True
        client = world.client().connect(expiry_s=0, will=will(found={EXPIRY: 5}))
        await world.commit()
        client.lose()
        await world.commit()
        assert payloads(ear) == []
        ((key, message),) = taken
        assert key == ("t", "", "c")
        assert (message.payload, message.expires_ms) == (b"bye", world.clock.now_ms() + 5_000)

    async def test_one_that_was_put_off_does_not_believe_who_it_was(self, world, will):
        client = world.client().connect(will=will(delay_s=10))
        await world.commit()
        client.lose()
        assert client.session.access is None

    async def test_it_may_be_retained(self, world, will):
        client = world.client().connect(expiry_s=0, will=will(retain=True))
        await world.commit()
        client.lose()
        await world.commit()
        again = await world.restarted()
        assert again.broker.realm("t").retained.get("gone").payload == b"bye"


class TestQoS2OfAPublisher:
    async def test_what_was_taken_is_known_after_a_restart(self, world):
        client = world.client().connect()
        await world.commit()
        world.broker.take(client.session, [b"\0\1", b"\0\2"])
        await world.commit()
        world.broker.release(client.session, b"\0\1", lambda _: None)
        await world.commit()
        again = await world.restarted()
        client = again.client().connect()
        await again.commit()
        assert client.session.unreleased == {b"\0\2"}

    async def test_pubcomp_waits_for_the_commit(self, world):
        client = world.client().connect()
        await world.commit()
        world.broker.take(client.session, [b"\0\1"])
        answers = []
        world.broker.release(client.session, b"\0\1", answers.append)
        assert answers == []
        await world.commit()
        assert answers == [None]
        assert world.queue.keys(UNRELEASED) == []

    async def test_of_a_session_that_is_not_kept_nothing_is_on_disk(self, world):
        client = world.client().connect(clean=True, expiry_s=0)
        world.broker.take(client.session, [b"\0\1"])
        answers = []
        world.broker.release(client.session, b"\0\1", answers.append)
        assert answers == [None]
        await world.commit()
        assert world.queue._records == {}


async def test_what_is_counted_goes_on_after_a_restart(world):
    world.broker.count("t", 5)
    await world.commit()
    again = await world.restarted()
    again.broker.count("t", 2)
    await again.commit()
    assert len(again.queue.keys(COUNTED)) == 1
    assert again.broker.realm("t").published == 7


async def test_what_is_kept_only_is_sent_to_nobody(world):
    _, subscriber = await pair(world)
    world.broker.keep("t", Message("a", b"x", 1, retain=True))
    await world.commit()
    assert payloads(subscriber) == []
    assert world.broker.realm("t").retained.get("a").payload == b"x"


async def test_after_a_failed_sync_nothing_is_said(world):
    publisher, subscriber = await pair(world)
    broken = Failed("storage_failed", "a sync failed")
    world.queue.failing = broken
    answers = subscriber.subscribe("b")
    publisher.publish("a")
    await world.commit()
    assert answers == [broken]
    assert payloads(subscriber) == []
    assert world.broken == [broken]
