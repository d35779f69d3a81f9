"""A connection and the broker behind it: QoS 2, sessions, wills and subscriptions, on the wire."""

import pytest

from ringmain.adapters.simulated.buffer import SimulatedBuffer
from ringmain.gateway.broker.access import ConsumerAccess, DeviceAccess
from ringmain.gateway.intake import Intake, Unrecorded
from ringmain.gateway.mqtt import DeviceWills
from ringmain.gateway.mqtt_receipts import IN_FLIGHT_311_MAX
from ringmain.model.device import LifecycleState
from ringmain.model.errors import Failed
from ringmain.ports.credentials import Role
from ringmain.protocols.mqtt import wire
from ringmain.protocols.mqtt.events import NOTHING_KEPT

FULL = Failed("storage_full", "the ingest log is at its limit; nothing was taken")
SECOND = wire.packet(0x34, wire.text("telemetry") + b"\0\7" + b'{"ts":1,"values":{"a":1}}')
SECOND_5 = wire.packet(0x34, wire.text("telemetry") + b"\0\7\0" + b'{"ts":1,"values":{"a":1}}')
PUBREL, PUBCOMP, PUBREC = b"\x62\2\0\7", b"\x70\2\0\7", b"\x50\2\0\7"


@pytest.fixture
def program(gateway, visit, turns, monkeypatch):
    """A peer that is signed in as a back-end program of a tenant."""

    async def make(tenant="default", role=Role.ADMIN, name="p", level=5, client_id="p", clean=True):
        async def sign_in(*_):
            return ConsumerAccess(tenant, name, role)

        with monkeypatch.context() as patched:
            patched.setattr(gateway.authenticator, "sign_in", sign_in)
            peer = visit(level)
            peer.connect("x", "y", client_id=client_id, clean=clean)
            await turns()
        said = peer.said()
        assert said[0] == 0x20, said.hex()
        assert said[3] == 0, said.hex()
        return peer

    return make


def packets(data):
    found = []
    while data:
        cursor = wire.Cursor(data, 1)
        length = cursor.variable()
        found.append(data[: cursor.at + length])
        data = data[cursor.at + length :]
    return found


def kinds(data):
    return [each[0] >> 4 for each in packets(data)]


class TestQoS2:
    async def test_nothing_is_said_before_it_is_durable(self, gateway, dial, turns):
        peer = await dial(4)
        gateway.queue.open.clear()
        peer.send(SECOND)
        await turns()
        assert peer.said() == b""
        gateway.queue.open.set()
        await turns()
        assert peer.said() == PUBREC
        assert len(gateway.stored()) == 1

    async def test_a_message_that_comes_again_is_stored_once(self, gateway, dial, turns):
        peer = await dial(4, clean=False)
        peer.send(SECOND)
        await turns()
        assert peer.said() == PUBREC
        peer.transport.lose()
        await turns()
        peer = await dial(4, accepted=False, clean=False)
        assert peer.said() == b"\x20\2\1\0"
        peer.send(b"\x3c" + SECOND[1:])
        await turns()
        assert peer.said() == PUBREC
        assert len(gateway.stored()) == 1
        peer.send(PUBREL)
        await turns()
        assert peer.said() == PUBCOMP
        assert gateway.queue._records.keys() == {b"s" + (1).to_bytes(8, "big")}

    async def test_pubcomp_waits_for_its_commit(self, gateway, dial, turns):
        peer = await dial(4, clean=False)
        peer.send(SECOND)
        await turns()
        peer.said()
        gateway.queue.open.clear()
        peer.send(PUBREL)
        await turns()
        assert peer.said() == b""
        gateway.queue.open.set()
        await turns()
        assert peer.said() == PUBCOMP

    async def test_without_room_mqtt_5_hears_so_and_may_send_it_as_a_new_one(self, gateway, dial, turns, monkeypatch):
        monkeypatch.setattr("ringmain.gateway.intake.RETRY_S", 0.0)
        peer = await dial(5, clean=False)
        gateway.queue.failing = FULL
        peer.send(SECOND_5)
        await turns()
        assert peer.said() == b"\x50\3\0\7\x97"
        gateway.queue.failing = None
        peer.send(SECOND_5)
        await turns()
        assert peer.said() == PUBREC
        assert len(gateway.stored()) == 1

    async def test_a_topic_that_is_refused_ends_it_with_its_pubrec(self, gateway, dial, turns):
        peer = await dial(5)
        peer.send(wire.packet(0x34, wire.text("devices/m2/telemetry") + b"\0\7\0x"))
        await turns()
        assert peer.said() == b"\x50\3\0\7\x87"
        peer.send(SECOND_5)
        await turns()
        assert peer.said() == PUBREC

    async def test_a_pubrel_that_found_no_room_is_answered_when_there_is_some(self, gateway, dial, turns, monkeypatch):
        monkeypatch.setattr("ringmain.gateway.intake.RETRY_S", 0.0)
        peer = await dial(4, clean=False)
        peer.send(SECOND)
        await turns()
        peer.said()
        gateway.queue.failing = FULL
        peer.send(PUBREL)
        await turns()
        assert peer.said() == b""
        gateway.queue.failing = None
        await turns()
        assert peer.said() == PUBCOMP
        peer.send(PUBREL)
        assert peer.said() == PUBCOMP, "at once: it is known no more"


class TestSessions:
    async def test_connack_waits_for_the_commit(self, gateway, visit, turns):
        gateway.queue.open.clear()
        peer = visit()
        peer.connect("m1", "tok1", clean=False)
        await turns()
        assert peer.said() == b""
        gateway.queue.open.set()
        await turns()
        assert peer.said() == b"\x20\2\0\0"

    @pytest.mark.parametrize(("level", "said"), [(4, "20020003"), (5, "2003009700")])
    async def test_without_room_nobody_gets_one(self, gateway, visit, turns, level, said):
        gateway.queue.failing = FULL
        peer = visit(level)
        peer.connect("m1", "tok1", clean=False, will=("telemetry", b"{}"))
        await turns()
        assert peer.said().hex() == said
        assert peer.transport.gone
        assert gateway.connections.count == 0

    async def test_a_connection_that_was_lost_meanwhile_leaves_nobody_online(self, gateway, visit, turns):
        gateway.queue.open.clear()
        peer = visit()
        peer.connect("m1", "tok1", clean=False)
        await turns()
        peer.transport.lose()
        gateway.queue.open.set()
        await turns()
        (session,) = gateway.broker._sessions.values()
        assert not session.online
        assert gateway.connections.count == 0

    async def test_nothing_reaches_a_peer_before_its_connack(self, gateway, dial, visit, program, turns):
        peer = await dial(4, clean=False)
        peer.subscribe("v1/devices/me/rpc/request/+", 1)
        await turns()
        peer.transport.lose()
        sender = await program()
        gateway.queue.open.clear()
        sender.publish(b"call", 1, "devices/m1/rpc/request/1")
        await turns()
        peer = visit()
        peer.connect("m1", "tok1", clean=False)
        await turns()
        sender.publish(b"now", 0, "devices/m1/rpc/request/2")
        assert peer.said() == b""
        assert gateway.undelivered == ["not_read"]
        gateway.queue.open.set()
        await turns()
        connack, *rest = packets(peer.said())
        assert connack == b"\x20\2\1\0"
        assert [each.endswith(b"call") for each in rest] == [True]

    async def test_what_waited_comes_behind_the_connack_in_its_own_words(self, gateway, dial, program, turns):
        peer = await dial(4, clean=False)
        peer.subscribe("v1/devices/me/rpc/request/+", 1)
        await turns()
        peer.transport.lose()
        await turns()
        sender = await program()
        for n in range(3):
            sender.publish(b"%d" % n, n + 1, f"devices/m1/rpc/request/{n}")
        await turns()
        assert sender.acknowledged() == [(1, 0), (2, 0), (3, 0)]
        peer = await dial(4, accepted=False, clean=False)
        connack, *rest = packets(peer.said())
        assert connack == b"\x20\2\1\0"
        assert rest == [
            wire.packet(0x32, wire.text(f"v1/devices/me/rpc/request/{n}") + bytes((0, n + 1)) + b"%d" % n)
            for n in range(3)
        ]

    async def test_the_same_client_id_of_a_program_is_another_session(self, gateway, dial, program, turns):
        peer = await dial(5, client_id="same")
        await program(client_id="same")
        await turns()
        assert not peer.transport.closing


class TestTenants:
    async def test_a_program_of_another_tenant_hears_nothing(self, gateway, dial, program, turns):
        mine, other = await program("default"), await program("acme")
        for each in (mine, other):
            each.subscribe("#", 1)
        await turns()
        mine.said()
        other.said()
        peer = await dial()
        peer.publish(b'{"ts":1,"values":{"a":1}}', 1)
        await turns()
        assert b"devices/m1/telemetry" in mine.said()
        assert other.said() == b""

    async def test_a_rejected_message_is_heard_by_nobody(self, gateway, dial, program, turns):
        mine = await program()
        mine.subscribe("#", 1)
        await turns()
        mine.said()
        peer = await dial()
        peer.publish(b"x", 1, "devices/m2/telemetry")
        await turns()
        assert mine.said() == b""


class TestPrograms:
    async def test_a_viewer_says_nothing(self, program, turns):
        peer = await program(role=Role.VIEWER)
        peer.publish(b"x", 1, "apps/a")
        await turns()
        assert peer.acknowledged() == [(1, 0x87)]

    async def test_who_is_told_that_nobody_has_subscribed(self, gateway, program, turns):
        peer = await program()
        peer.publish(b"x", 1, "apps/a")
        peer.publish(b"x", 2, "devices/m1/telemetry")
        await turns()
        assert peer.acknowledged() == [(1, 0x10), (2, 0x87)]
        assert gateway.broker.realm("default").published == 2

    async def test_an_error_on_our_side_is_a_refusal(self, program, turns, monkeypatch):
        def broken(*_):
            raise RuntimeError("of ours")

        peer = await program()
        monkeypatch.setattr(ConsumerAccess, "publishes", broken)
        monkeypatch.setattr(ConsumerAccess, "subscribes", broken)
        peer.publish(b"x", 1, "apps/a")
        await turns()
        assert peer.acknowledged() == [(1, 0x87)]
        peer.subscribe("apps/a")
        await turns()
        assert peer.said()[-1] == 0x87


class TestSubscriptions:
    @pytest.mark.parametrize(("pattern", "code"), [("$share/g/devices/m1/#", 0x9E), ("$share/g", 0x8F), ("a#", 0x8F)])
    async def test_what_a_device_may_not_have(self, dial, turns, pattern, code):
        peer = await dial(5)
        peer.subscribe(pattern, 1)
        await turns()
        assert peer.said()[-1] == code

    async def test_a_program_may_share(self, program, turns):
        peer = await program()
        peer.subscribe("$share/g/apps/#", 2)
        await turns()
        assert peer.said()[-1] == 2

    @pytest.mark.parametrize(("level", "code"), [(4, 0x80), (5, 0x97)])
    async def test_without_room_it_is_refused_and_is_not_there(self, gateway, dial, turns, level, code):
        peer = await dial(4, clean=False) if level == 4 else await dial(5)
        if level == 5:
            next(iter(gateway.broker._sessions.values())).expiry_s = 100
        gateway.queue.failing = FULL
        peer.subscribe("errors", 1)
        await turns()
        assert peer.said()[-1] == code
        gateway.queue.failing = None
        gateway.connections.notify(gateway.m1.key, "errors", b"{}")
        assert peer.said() == b""

    @pytest.mark.parametrize("level", [4, 5])
    async def test_its_end_without_room_is_not_acknowledged(self, gateway, dial, turns, level):
        peer = await dial(level, clean=False)
        next(iter(gateway.broker._sessions.values())).expiry_s = 100
        peer.subscribe("errors", 1)
        await turns()
        peer.said()
        gateway.queue.failing = FULL
        peer.send(wire.packet(0xA2, b"\0\2" + (b"\0" if level == 5 else b"") + wire.text("errors")))
        await turns()
        if level == 4:
            assert peer.said() == b""
            assert peer.transport.gone
        else:
            assert peer.said() == b"\xb0\4\0\2\0\x83"
            gateway.connections.notify(gateway.m1.key, "errors", b"{}")
            assert b"devices/m1/errors" in peer.said()


class TestWills:
    async def test_one_that_was_put_off_is_judged_by_the_state_of_then(self, gateway, dial, turns):
        peer = await dial(4, clean=False, will=("telemetry", b'{"ts":9,"values":{"a":1}}'))
        (session,) = gateway.broker._sessions.values()
        session.will = session.will.__class__("telemetry", session.will.payload, 0, False, 10)
        peer.transport.lose()
        await turns()
        await gateway.move(gateway.m1, LifecycleState.SUSPENDED)
        gateway.clock.advance(10)
        gateway.broker.tick()
        await turns()
        assert gateway.stored() == []
        assert gateway.rejected() == [(gateway.m1.key, "device_not_active", 1)]

    async def test_one_of_a_program_is_judged_when_it_comes(self, visit, gateway, turns, monkeypatch):
        async def sign_in(*_):
            return ConsumerAccess("default", "p", Role.VIEWER)

        monkeypatch.setattr(gateway.authenticator, "sign_in", sign_in)
        peer = visit(5)
        peer.connect("x", "y", will=("apps/a", b"bye"))
        await turns()
        assert peer.said().hex() == "2003008700"
        assert gateway.broker._sessions == {}

    async def test_a_device_that_changed_and_stays_is_who_it_is_now(self, gateway, dial, turns):
        peer = await dial(4, will=("telemetry", b"{}"))
        (session,) = gateway.broker._sessions.values()
        before = session.access
        (connection,) = gateway.door._open
        principal = await gateway._principal_of(gateway.m1.key)
        connection.reauthorise(principal)
        assert isinstance(session.access, DeviceAccess)
        assert session.access is not before
        assert session.access.principal is principal
        assert not peer.transport.closing


class TestWhereNothingIsKept:
    """The door of an edge: a broker over a buffer without records."""

    @pytest.fixture
    async def edge(self, gateway):
        gateway.buffer = SimulatedBuffer()
        gateway.intake._queue = Unrecorded(gateway.buffer)
        gateway.door.limits = NOTHING_KEPT
        assert isinstance(gateway.intake, Intake)
        assert isinstance(gateway.broker.on_will.__self__, DeviceWills)
        return gateway

    def kept(self, edge):
        return edge.buffer.status().readings

    @pytest.mark.parametrize("level", [4, 5])
    async def test_qos_2_is_refused(self, edge, dial, turns, level):
        peer = await dial(level)
        peer.send(SECOND if level == 4 else SECOND_5)
        await turns()
        assert peer.transport.gone
        assert edge.buffer.status().readings == 0

    async def test_a_will_is_a_message_like_any_other_and_breaks_nothing(self, edge, dial, turns):
        peer = await dial(4, will=("telemetry", b'{"ts":9,"values":{"a":1}}'))
        peer.transport.lose()
        await turns()
        assert edge.broken == []
        assert self.kept(edge) == 1

    async def test_a_retained_message_of_311_is_an_ordinary_one(self, edge, dial, turns):
        peer = await dial(4)
        peer.send(wire.packet(0x33, wire.text("telemetry") + b"\0\1" + b'{"ts":9,"values":{"a":1}}'))
        await turns()
        assert peer.acknowledged() == [(1, 0)]
        assert edge.broker.realm("default").retained.count == 0
        assert edge.broken == []
        assert self.kept(edge) == 1

    async def test_attributes_and_a_session_that_should_be_kept_break_nothing(self, edge, dial, turns):
        peer = await dial(4, clean=False)
        peer.subscribe("errors", 1)
        peer.publish(b'{"a":1}', 1, "attributes")
        await turns()
        assert edge.broken == []
        assert edge.intake.trouble is None
        peer.transport.lose()
        await turns()
        assert edge.broker._sessions == {}


class TestClaimants:
    async def test_a_request_at_qos_2_is_answered_to_the_end(self, gateway, visit, turns):
        class Desk:
            async def redeem(self, claim, body):
                return b"{}"

        gateway.door.provisioner = Desk()
        peer = visit(4)
        peer.connect("claim", "rmc_x")
        await turns()
        peer.subscribe("provision/answer", 1)
        peer.said()
        peer.send(wire.packet(0x34, wire.text("provision") + b"\0\7{}"))
        await turns()
        assert packets(peer.said())[0] == PUBREC
        peer.send(PUBREL)
        assert peer.said() == PUBCOMP


async def test_311_beyond_its_share_is_not_read_until_some_are_answered(gateway, program, turns):
    peer = await program(level=4)
    gateway.queue.open.clear()
    peer.send(wire.packet(0x32, wire.text("apps/a") + b"\0\1x") * (IN_FLIGHT_311_MAX + 1))
    assert not peer.transport.reading
    gateway.queue.open.set()
    await turns()
    assert peer.transport.reading
