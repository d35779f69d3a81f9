"""The MQTT door: nothing is acknowledged that is not durable, and no peer harms another."""

import asyncio

import pytest

from ringmain.gateway.mqtt_receipts import IN_FLIGHT_311_MAX
from ringmain.model.device import LifecycleState
from ringmain.model.errors import ERRORS, Failed, Refused
from ringmain.protocols.mqtt.reasons import Reason

FULL = Failed("storage_full", "the ingest log is at its limit; nothing was taken")
BROKEN = Failed("storage_failed", "a sync failed")


def reading(n=1):
    return b'{"ts":%d,"values":{"a":%d}}' % (n, n)


def gated(gateway, monkeypatch):
    """Sign-ins wait until the event that this returns is set."""
    gate = asyncio.Event()
    plain = gateway.credentials.holder

    async def holder(digest):
        await gate.wait()
        return await plain(digest)

    monkeypatch.setattr(gateway.credentials, "holder", holder)
    return gate


class TestSignIn:
    @pytest.mark.parametrize(
        ("user", "token"),
        [("m1", "wrong"), ("m2", "tok1"), ("acme/m1", "tok1"), ("default/m1/x", "tok1"), ("/m1", "tok1"),
         ("", "tok1"), ("m1", b"\xff\xfe"), ("", ""), ("m1", "")],
    )  # fmt: skip
    @pytest.mark.parametrize("level", [4, 5])
    async def test_wrong_credentials(self, gateway, dial, turns, level, user, token):
        peer = await dial(level, user, token, accepted=False)
        assert peer.said().hex() == ("20020004" if level == 4 else "2003008600")
        assert gateway.refused == ["bad_credentials"]
        await turns()
        assert peer.transport.gone
        assert gateway.connections.count == 0
        assert gateway.watch.heard == []

    @pytest.mark.parametrize(("user", "token"), [("m1", "tok1"), ("default/m1", "tok1"), ("tok1", "")])
    async def test_the_ways_to_sign_in(self, gateway, dial, user, token):
        await dial(user=user, token=token)
        assert gateway.connections.count == 1

    async def test_a_device_of_another_tenant_comes_by_its_tenant_alone(self, gateway, dial):
        other = await gateway.add("m1", "tok2", tenant="acme")
        await dial(user="m1", token="tok2", accepted=False)
        assert gateway.connections.count == 0
        peer = await dial(user="acme/m1", token="tok2")
        peer.publish(reading(), 1)
        await asyncio.sleep(0.01)
        assert gateway.stored() == [(other.key, "a", 1, 1.0)]

    @pytest.mark.parametrize(
        "state", [LifecycleState.REGISTERED, LifecycleState.SUSPENDED, LifecycleState.DECOMMISSIONED]
    )
    async def test_a_state_that_may_not_connect(self, gateway, dial, state):
        await gateway.add("m9", "tok9", state)
        peer = await dial(5, "m9", "tok9", accepted=False)
        assert peer.said().hex() == "2003008700"

    async def test_an_error_on_our_side_is_a_refusal_and_nothing_else(self, gateway, dial, monkeypatch):
        async def holder(_):
            raise RuntimeError("the registry is upside down")

        monkeypatch.setattr(gateway.credentials, "holder", holder)
        peer = await dial(5, accepted=False)
        assert peer.said().hex() == "2003008800"
        assert gateway.refused == ["unavailable"]
        monkeypatch.undo()
        await dial()

    async def test_a_failure_behind_the_sign_in_ends_that_connection_alone(self, gateway, dial, monkeypatch, turns):
        def admit(_):
            raise RuntimeError("a bug of ours")

        monkeypatch.setattr(gateway.pipeline, "admit", admit)
        peer = await dial(accepted=False)
        await turns()
        assert peer.transport.gone
        assert gateway.refused == ["internal"]
        monkeypatch.undo()
        await dial()
        assert gateway.connections.count == 1

    async def test_what_can_not_be_decoded_right_behind_connect_harms_nobody(self, gateway, visit, turns):
        peer = visit()
        peer.connect("m1", "tok1", behind=peer.packet(b'{"\xff":1}', 1) + peer.packet(reading(), 2))
        await asyncio.sleep(0.01)
        assert peer.said() == b"\x20\x02\x00\x00" + b"\x40\x02\x00\x01" + b"\x40\x02\x00\x02"
        assert gateway.dead() == [(gateway.m1.key, b'{"\xff":1}')]

    async def test_data_behind_connect_waits_for_the_answer(self, gateway, visit, turns, monkeypatch):
        gate = gated(gateway, monkeypatch)
        peer = visit()
        peer.connect("m1", "tok1", behind=peer.packet(reading(1), 1))
        assert not peer.transport.reading
        peer.driver.data_received(peer.packet(reading(2), 2))
        await turns()
        assert (peer.said(), gateway.received, gateway.queue.appends) == (b"", [], 0)
        gate.set()
        await asyncio.sleep(0.01)
        assert peer.said() == b"\x20\x02\x00\x00" + b"\x40\x02\x00\x01" + b"\x40\x02\x00\x02"
        assert peer.transport.reading

    @pytest.mark.parametrize("end", ["lost", "deadline", "shutdown"])
    async def test_gone_before_the_answer(self, gateway, visit, turns, monkeypatch, end):
        gate = gated(gateway, monkeypatch)
        peer = visit()
        peer.connect("m1", "tok1", behind=peer.packet(reading(), 1))
        peer.transport.deaf = end != "lost"
        await turns()
        if end == "lost":
            peer.transport.lose()
        elif end == "deadline":
            peer.driver._owner(peer.driver, peer.driver.machine.wake(peer.driver.now() + 11))
        else:
            gateway.door.close_all()
        gate.set()
        await turns()
        assert gateway.connections.count == 0
        assert not any(news[0] == "connected" for news in gateway.watch.heard)
        assert len(gateway.closed) == 1
        peer.transport.lose()
        await turns()
        assert gateway.stored() == []
        assert not gateway.door._open

    @pytest.mark.parametrize("when", ["holder", "profile"])
    async def test_suspended_while_it_signs_in(self, gateway, visit, turns, monkeypatch, when):
        """The look at the registry came before the suspension, the connection after it."""
        gate, asked = asyncio.Event(), []
        plain = gateway.directory.profile

        async def profile(*key):
            asked.append(key)
            await gate.wait()
            return await plain(*key)

        monkeypatch.setattr(gateway.directory, "profile", profile)
        peer = visit(5)
        peer.connect("m1", "tok1", behind=peer.packet(reading(), 1))
        await turns()
        assert asked
        await gateway.move(gateway.m1, LifecycleState.SUSPENDED)
        gate.set()
        await turns()
        assert peer.said().hex() == "2003008700"
        assert gateway.stored() == []

    async def test_activated_while_it_signs_in(self, gateway, visit, turns, monkeypatch):
        device = await gateway.add("m3", "tok3", LifecycleState.PROVISIONED)
        gate = asyncio.Event()
        plain = gateway.directory.profile

        async def profile(*key):
            await gate.wait()
            return await plain(*key)

        monkeypatch.setattr(gateway.directory, "profile", profile)
        peer = visit()
        peer.connect("m3", "tok3", behind=peer.packet(reading(), 1))
        await turns()
        await gateway.move(device, LifecycleState.ACTIVE)
        gate.set()
        await asyncio.sleep(0.01)
        assert gateway.quarantined() == [False]

    async def test_a_full_house(self, gateway, dial):
        gateway.door._connections_max = 1
        first = await dial()
        peer = await dial(5, accepted=False)
        assert peer.said().hex() == "2003008800"
        first.transport.lose()
        await dial(5)

    async def test_a_handshake_that_failed_was_no_connection(self, gateway):
        for _ in range(10):
            gateway.door.protocol()
        assert not gateway.door._open

    async def test_nobody_is_let_in_while_there_is_no_room(self, gateway, dial):
        gateway.intake.trouble = FULL
        assert (await dial(4, accepted=False)).said().hex() == "20020003"


class TestAcknowledgement:
    @pytest.mark.parametrize("level", [4, 5])
    async def test_only_after_the_append_returned(self, gateway, dial, turns, level):
        peer = await dial(level)
        gateway.queue.open.clear()
        peer.publish(reading(1), 1)
        await turns()
        peer.publish(reading(2), 2)
        await turns()
        assert gateway.queue.appends == 1
        assert peer.said() == b""
        gateway.queue.open.set()
        await turns()
        assert peer.acknowledged() == [(1, 0), (2, 0)]
        assert [it[2] for it in gateway.stored()] == [1, 2]

    async def test_what_comes_during_a_sync_is_one_more_commit(self, gateway, dial, turns):
        peer = await dial()
        gateway.queue.open.clear()
        for n in range(1, 51):
            peer.publish(reading(n), n)
            await turns(3)
        gateway.queue.open.set()
        await turns()
        assert gateway.queue.appends == 2
        assert [it[0] for it in peer.acknowledged()] == list(range(1, 51))

    async def test_qos_0_among_them(self, gateway, dial, turns):
        peer = await dial()
        peer.send(
            peer.packet(reading(1)) + peer.packet(reading(2), 2) + peer.packet(reading(3)) + peer.packet(reading(4), 4)
        )
        await turns()
        assert peer.acknowledged() == [(2, 0), (4, 0)]
        assert len(gateway.stored()) == 4

    async def test_the_same_identifier_twice_is_answered_twice(self, gateway, dial, turns):
        peer = await dial()
        peer.send(peer.packet(reading(1), 7) * 2)
        await turns()
        assert peer.acknowledged() == [(7, 0), (7, 0)]

    @pytest.mark.parametrize("level", [4, 5])
    async def test_foreign_topics_in_their_place(self, gateway, dial, turns, level):
        """[MQTT-4.6.0-2]: PUBACKs leave in the order in which the messages came, refused ones too."""
        peer = await dial(level)
        peer.send(
            peer.packet(reading(1), 1)
            + peer.packet(reading(2), 2, "devices/m2/telemetry")
            + peer.packet(reading(3), 3, "devices/m1/telemetry")
            + peer.packet(reading(4), 4, "nowhere")
            + peer.packet(reading(5), 5)
        )
        await turns()
        codes = [0, 0x87, 0, 0x90, 0] if level == 5 else [0] * 5
        assert peer.acknowledged() == list(zip(range(1, 6), codes, strict=True))
        assert sorted(gateway.rejected()) == [
            (gateway.m1.key, "foreign_device", 1),
            (gateway.m1.key, "unknown_topic", 1),
        ]
        assert [it[2] for it in gateway.stored()] == [1, 3, 5]

    async def test_a_dead_letter_is_acknowledged_because_it_is_kept(self, gateway, dial, turns):
        peer = await dial(5)
        peer.publish(b"not json", 1)
        await turns()
        assert peer.acknowledged() == [(1, 0)]
        assert gateway.dead() == [(gateway.m1.key, b"not json")]

    async def test_status(self, gateway, dial, turns):
        peer = await dial()
        peer.publish(b'{"sleep_s":60}', 1, "status")
        await turns()
        assert peer.acknowledged() == [(1, 0)]
        assert gateway.statuses == [(gateway.m1.key, b'{"sleep_s":60}')]


class TestNoRoom:
    async def test_mqtt_5_is_told_and_goes_on_when_there_is_room(self, gateway, dial, turns, monkeypatch):
        monkeypatch.setattr("ringmain.gateway.intake.RETRY_S", 0.01)
        peer = await dial(5)
        gateway.queue.failing = FULL
        peer.send(
            peer.packet(reading(1), 1) + peer.packet(reading(2), 2, "devices/x/telemetry") + peer.packet(reading(3))
        )
        await turns()
        assert peer.acknowledged() == [(1, 0x97), (2, 0x97)]
        assert gateway.intake.trouble is FULL
        assert gateway.dropped == [1]
        assert gateway.broken == []
        gateway.queue.failing = None
        peer.send(peer.packet(reading(1), 1) + peer.packet(reading(2), 2, "devices/x/telemetry"))
        await asyncio.sleep(0.05)
        assert peer.acknowledged() == [(1, 0), (2, 0x87)]
        assert gateway.intake.trouble is None
        assert [it[2] for it in gateway.stored()] == [1]

    @pytest.mark.parametrize("failure", [FULL, BROKEN])
    @pytest.mark.parametrize("level", [4, 5])
    async def test_no_failure_is_ever_acknowledged_as_a_success(self, gateway, dial, turns, level, failure):
        peer = await dial(level)
        gateway.queue.failing = failure
        peer.send(peer.packet(reading(1), 1) + peer.packet(reading(2), 2))
        await turns()
        if level == 5 and failure is FULL:
            assert peer.acknowledged() == [(1, 0x97), (2, 0x97)]
        else:
            assert b"\x40" not in peer.said()[:1]
            assert peer.transport.gone

    async def test_mqtt_311_loses_its_connection(self, gateway, dial, turns):
        peer = await dial(4)
        gateway.queue.failing = FULL
        peer.publish(reading(1), 1)
        await turns()
        assert peer.said() == b""
        assert peer.transport.gone
        assert gateway.connections.count == 0

    async def test_it_is_found_out_that_there_is_room_again(self, gateway, turns, monkeypatch):
        monkeypatch.setattr("ringmain.gateway.intake.RETRY_S", 0.01)
        gateway.intake.trouble = FULL
        probe = gateway.tasks.create_task(gateway.intake.probe())
        await asyncio.sleep(0.05)
        probe.cancel()
        assert gateway.intake.trouble is None

    @pytest.mark.parametrize("level", [4, 5])
    async def test_after_a_failed_sync_nobody_hears_anything_good(self, gateway, dial, turns, level):
        peer = await dial(level)
        gateway.queue.failing = BROKEN
        peer.publish(reading(1), 1)
        await turns()
        said = peer.said()
        assert said[:1] == (b"" if level == 4 else b"\xe0")
        assert said[2:3] == (b"" if level == 4 else b"\x89")
        assert peer.transport.gone
        assert gateway.broken == [BROKEN]


class TestBackPressure:
    async def test_an_open_batch_that_is_full_holds_who_fills_it(self, gateway, dial, turns, monkeypatch):
        monkeypatch.setattr("ringmain.gateway.intake.OPEN_MESSAGES_MAX", 10)
        peer, other = await dial(), await dial(client_id="d")
        gateway.queue.open.clear()
        peer.publish(reading(1), 1)
        await turns()
        for n in range(2, 12):
            assert peer.publish(reading(n), n)
        assert peer.publish(reading(12), 12)
        assert not peer.transport.reading
        assert other.transport.reading
        gateway.queue.open.set()
        await turns()
        assert peer.transport.reading
        assert len(peer.acknowledged()) == 12

    async def test_bytes_count_too(self, gateway, dial, turns, monkeypatch):
        monkeypatch.setattr("ringmain.gateway.intake.OPEN_BYTES_MAX", 5_000)
        peer = await dial()
        gateway.queue.open.clear()
        peer.publish(reading(1), 1)
        await turns()
        sent = 0
        while peer.publish(b"x" * 1000):
            sent += 1
        assert sent == 6
        gateway.queue.open.set()
        await turns()
        assert peer.transport.reading

    async def test_311_beyond_its_share_in_flight(self, gateway, dial, turns):
        peer = await dial()
        gateway.queue.open.clear()
        peer.send(peer.packet(reading(1), 1) * (IN_FLIGHT_311_MAX + 1))
        assert not peer.transport.reading
        gateway.queue.open.set()
        await turns()
        assert peer.transport.reading

    async def test_our_own_delay_is_not_the_peers_silence(self, gateway, dial, turns):
        peer = await dial()
        gateway.queue.open.clear()
        peer.send(peer.packet(reading(1), 1) * (IN_FLIGHT_311_MAX + 1))
        peer.driver.machine._heard -= 1000
        peer.driver._wake()
        await turns()
        assert not peer.transport.closing
        gateway.queue.open.set()
        await turns()
        peer.driver._wake()
        await turns()
        assert peer.transport.gone

    async def test_settled_after_the_end(self, gateway, dial, turns):
        peer = await dial()
        gateway.queue.open.clear()
        peer.publish(reading(1), 1)
        await turns()
        peer.transport.lose()
        gateway.queue.open.set()
        await turns()
        assert peer.said() == b""
        assert len(gateway.stored()) == 1
        assert len(gateway.closed) == 1


class TestTheEnd:
    async def test_a_client_id_that_comes_again_takes_over(self, gateway, dial, turns):
        first = await dial(5)
        second = await dial(5)
        await turns()
        assert first.said()[:3:2] == b"\xe0\x8e"
        assert first.transport.gone
        assert gateway.connections.count == 1
        assert [it[:1] + it[2:] for it in gateway.watch.heard if it[0] != "active"] == [
            ("connected", 1), ("disconnected", 1), ("connected", 2)
        ]  # fmt: skip
        second.publish(reading(), 1)
        await turns()
        assert second.acknowledged() == [(1, 0)]

    async def test_the_same_client_id_of_another_device_does_not(self, gateway, dial, turns):
        await gateway.add("m2", "tok2")
        first = await dial(5)
        await dial(5, "m2", "tok2")
        await turns()
        assert not first.transport.closing
        assert gateway.connections.count == 2

    @pytest.mark.parametrize(("client_id", "connections"), [("", 2), ("c", 1)])
    async def test_no_client_id_is_a_new_one_each_time(self, gateway, dial, client_id, connections):
        for _ in range(2):
            peer = await dial(4, client_id=client_id)
        assert gateway.connections.count == connections
        assert not peer.transport.closing

    async def test_cut_within_the_same_turn(self, gateway, dial, turns):
        peer = await dial(5, will=("telemetry", reading(99)))
        peer.publish(reading(1), 1)
        gateway.connections.cut(gateway.m1.key, Refused("device_suspended", "device m1 is suspended"))
        assert peer.transport.closing
        assert peer.said()[:3:2] == b"\xe0\x87"
        peer.driver.data_received(peer.packet(reading(2), 2))
        await turns()
        assert peer.said() == b""
        assert [it[2] for it in gateway.stored()] == [1]
        assert gateway.rejected() == [(gateway.m1.key, "device_suspended", 1)]
        assert gateway.connections.count == 0

    @pytest.mark.parametrize(
        ("how", "done"),
        [("lost", True), ("disconnect", False), ("violation", True), ("takeover", True), ("silence", True)],
    )
    async def test_the_will(self, gateway, dial, turns, how, done):
        peer = await dial(4, will=("telemetry", reading(99)))
        if how == "lost":
            peer.transport.lose()
        elif how == "disconnect":
            peer.send(b"\xe0\x00")
        elif how == "violation":
            peer.send(b"\x00\x00")
        elif how == "takeover":
            await dial(4)
        else:
            peer.driver._owner(peer.driver, peer.driver.machine.wake(peer.driver.now() + 100))
        await turns()
        assert [it[2] for it in gateway.stored()] == ([99] if done else [])

    async def test_a_will_on_a_foreign_topic_is_refused_as_any_message(self, gateway, dial, turns):
        peer = await dial(5, will=("devices/m2/telemetry", reading(99)))
        peer.transport.lose()
        await turns()
        assert gateway.stored() == []
        assert gateway.rejected() == [(gateway.m1.key, "foreign_device", 1)]

    async def test_a_violation_is_counted_once(self, gateway, dial, turns):
        peer = await dial(5)
        gateway.queue.open.clear()
        peer.send(peer.packet(reading(1), 1) + b"\x00\x00")
        await turns()
        gateway.queue.failing = BROKEN
        gateway.queue.open.set()
        await turns()
        assert [it.reason for it in gateway.closed] == [Reason.PROTOCOL_ERROR]
        assert peer.said()[:3:2] == b"\xe0\x82"

    async def test_everybody_hears_of_the_shutdown(self, gateway, dial, visit, turns):
        peer, stranger = await dial(5), visit()
        gateway.door.close_all()
        await turns()
        assert peer.said()[:3:2] == b"\xe0\x8b"
        assert peer.transport.gone
        assert stranger.transport.gone
        late = visit()
        await turns()
        assert late.transport.gone

    async def test_every_code_of_the_error_table_is_one_of_mqtt(self):
        assert all(Reason(row.mqtt_reason) for row in ERRORS.values())


class TestNotices:
    @pytest.mark.parametrize("level", [4, 5])
    async def test_errors(self, gateway, dial, turns, level):
        peer = await dial(level)
        peer.subscribe("errors", 1)
        assert peer.said()[-1] == 1
        peer.publish(b"?", 1)
        peer.publish(reading(), 2, "devices/other/telemetry")
        await turns()
        said = peer.said()
        assert b"devices/m1/errors" in said
        assert b'"reason":"undecodable_payload"' in said
        assert b'"kept":"as a dead letter"' in said
        assert b'"reason":"foreign_device"' in said

    @pytest.mark.parametrize(
        "pattern", ["errors", "devices/m1/#", "devices/m1/+", "devices/m1/errors", "devices/m1/errors/#"]
    )
    async def test_its_own_tree(self, gateway, dial, turns, pattern):
        peer = await dial()
        peer.subscribe(pattern)
        assert peer.said()[-1] == 0
        gateway.connections.notify(gateway.m1.key, "errors", b"{}")
        assert b"devices/m1/errors" in peer.said()
        peer.send(b"\xa2" + bytes((4 + len(pattern),)) + b"\0\2" + len(pattern).to_bytes(2, "big") + pattern.encode())
        assert peer.said() == b"\xb0\x02\x00\x02"
        gateway.connections.notify(gateway.m1.key, "errors", b"{}")
        assert peer.said() == b""

    @pytest.mark.parametrize(
        "pattern", ["#", "+", "devices/#", "devices/+/errors", "devices/m2/errors", "$SYS/#", "telemetry"]
    )
    @pytest.mark.parametrize("level", [4, 5])
    async def test_and_no_other(self, gateway, dial, pattern, level):
        peer = await dial(level)
        peer.subscribe(pattern)
        assert peer.said()[-1] == (0x80 if level == 4 else 0x87)
        gateway.connections.notify(gateway.m1.key, "errors", b"{}")
        assert peer.said() == b""

    async def test_no_other_tenants_device_of_that_name_hears_it(self, gateway, dial, turns):
        await gateway.add("m1", "tok2", tenant="acme")
        other = await dial(user="acme/m1", token="tok2")
        other.subscribe("devices/m1/#")
        other.said()
        peer = await dial()
        peer.publish(b"?", 1)
        await turns()
        assert other.said() == b""

    async def test_too_many_filters(self, gateway, dial, monkeypatch):
        monkeypatch.setattr("ringmain.gateway.mqtt_filters.SUBSCRIPTIONS_MAX", 2)
        peer = await dial(5)
        answers = []
        for pattern in ("errors", "lifecycle", "devices/m1/#", "errors"):
            peer.subscribe(pattern)
            answers.append(peer.said()[-1])
        assert answers == [0, 0, 0x97, 0]

    async def test_who_does_not_read_gets_no_more(self, gateway, dial):
        peer = await dial()
        peer.subscribe("errors")
        peer.said()
        peer.driver.pause_writing()
        for _ in range(1000):
            gateway.connections.notify(gateway.m1.key, "errors", b"{}")
        assert peer.said() == b""
        peer.driver.resume_writing()
        gateway.connections.notify(gateway.m1.key, "errors", b"{}")
        assert b"errors" in peer.said()
