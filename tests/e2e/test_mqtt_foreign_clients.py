"""MQTT in full as clients of others see it: Paho, aiomqtt and gmqtt at the open door and at the platform's own, as
devices and as back-end programs, and `mosquitto_pub` and `mosquitto_sub` beside them.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing

import msgspec
import pytest
from tests.e2e.foreign_clients import ANSWER_S_MAX, CLIENTS, Client, Door, Said
from tests.e2e.platform_process import PlatformProcess

pytestmark = pytest.mark.slow

EVERY_CLIENT = pytest.mark.parametrize("kind", CLIENTS)
EVERY_DOOR = pytest.mark.parametrize("way", ["tcp", "tls"])
BASE_MS = 1_767_225_600_000
CUT_S_MAX = 1.0
DATABASE = "registry.sqlite"
TWO_PLACES = "{}-{}"
OTHERS = "thief", "meter", "stopped", "mosquitto", "mosquitto-tls"
NAMES = [TWO_PLACES.format(kind, way) for kind in CLIENTS for way in ("tcp", "tls")]

Make = Callable[..., Awaitable[Client]]


def _token(device: str) -> str:
    return f"token-of-{device}-0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PlatformProcess, str, str]]:
    """A platform with devices, a viewer's token, and the token of another tenant's admin. The API makes no viewers yet:
    this one is an admin whose role is lowered in the books while the platform is down.
    """
    with PlatformProcess(tmp_path_factory.mktemp("clients") / "data", open_mqtt=True) as running:
        running.import_devices([(name, "generic", _token(name)) for name in (*NAMES, *OTHERS)])
        viewer = running.post("/api/v1/tenants/default/tokens")["token"]
        assert running.stop() == 0
        with closing(sqlite3.connect(running.directory / DATABASE)) as books, books:
            lowered = books.execute("UPDATE credentials SET role = 'viewer' WHERE name = 'admin'")
            assert lowered.rowcount == 1
        running.start()
        yield running, viewer, running.post("/api/v1/tenants", {"id": "acme"})["token"]


@pytest.fixture
def platform(found: tuple[PlatformProcess, str, str]) -> PlatformProcess:
    return found[0]


@pytest.fixture
def viewer(found: tuple[PlatformProcess, str, str]) -> str:
    return found[1]


@pytest.fixture
def other_tenant(found: tuple[PlatformProcess, str, str]) -> str:
    return found[2]


@asynccontextmanager
async def _gathering() -> AsyncIterator[list[Client]]:
    clients: list[Client] = []
    try:
        yield clients
    finally:
        for each in clients:
            await each.disconnect()


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Connect a client of a kind; it is disconnected in the end."""
    async with _gathering() as clients:

        async def made(kind: str, name: str, door: Door, **options) -> Client:
            client = CLIENTS[kind](door, name, **options)
            assert await client.connect() == 0
            clients.append(client)
            return client

        yield made


@pytest.fixture(params=["open", "tls"])
def where(request: pytest.FixtureRequest, platform: PlatformProcess) -> Door:
    """Where everything is offered: the open door, and the platform's own for back-end programs."""
    return Door(platform.ports.open_mqtt) if request.param == "open" else _operator(platform, "tls")


def _device(platform: PlatformProcess, device: str, way: str = "tcp") -> Door:
    port = platform.ports.mqtts if way == "tls" else platform.ports.mqtt
    return Door(port, device, _token(device), str(platform.ca) if way == "tls" else "")


def _operator(platform: PlatformProcess, way: str = "tcp") -> Door:
    port = platform.ports.mqtts if way == "tls" else platform.ports.mqtt
    return Door(port, "operator", platform.admin_token, str(platform.ca) if way == "tls" else "")


# -- publish and subscribe ------------------------------------------------------------------------------------------


@EVERY_CLIENT
async def test_every_quality_of_service_both_ways(make: Make, where: Door, kind: str) -> None:
    client = await make(kind, f"{kind}-qos", where)
    for granted in (0, 1, 2):
        assert await client.subscribe(f"apps/{kind}/qos/{granted}", granted) == granted
    for granted in (0, 1, 2):
        for qos in (0, 1, 2):
            payload = f"{granted}{qos}".encode()
            await client.publish(f"apps/{kind}/qos/{granted}", payload, Said(qos=qos))
            heard = await client.next()
            assert (heard.topic, heard.payload, heard.qos) == (f"apps/{kind}/qos/{granted}", payload, min(granted, qos))
    assert await client.silence() == []


@EVERY_CLIENT
async def test_what_is_said_while_a_session_is_away_waits_for_it_in_order(make: Make, where: Door, kind: str) -> None:
    away = CLIENTS[kind]
    first = await make(kind, f"{kind}-away", where, expiry_s=60)
    assert first.present in (False, None)
    await first.subscribe(f"apps/{kind}/away/#", 2)
    await first.disconnect()
    other = await make(kind, f"{kind}-here", where)
    sent = [(f"apps/{kind}/away/{n}", str(n).encode(), 1 + n % 2) for n in range(20)]
    for topic, payload, qos in sent:
        await other.publish(topic, payload, Said(qos=qos))
    again = await make(kind, f"{kind}-away", where, expiry_s=60)
    assert type(again) is away
    assert again.present in (True, None)
    heard = [(each.topic, each.payload, each.qos) for each in await again.several(20)]
    for qos in (1, 2):  # Paho and aiomqtt show a message of QoS 2 with its PUBREL
        assert [each for each in heard if each[2] == qos] == [each for each in sent if each[2] == qos]
    assert await again.silence() == []


@EVERY_CLIENT
async def test_a_retained_message_comes_to_who_subscribes_later_until_it_is_taken_away(
    make: Make, where: Door, kind: str
) -> None:
    client = await make(kind, f"{kind}-retain", where)
    await client.publish(f"apps/{kind}/kept", b"first", Said(qos=1, retain=True))
    await client.publish(f"apps/{kind}/kept", b"last", Said(qos=2, retain=True))
    late = await make(kind, f"{kind}-late", where)
    await late.subscribe(f"apps/{kind}/+", 1)
    heard = await late.next()
    assert (heard.topic, heard.payload, heard.qos, heard.retain) == (f"apps/{kind}/kept", b"last", 1, True)
    await client.publish(f"apps/{kind}/kept", b"", Said(qos=1, retain=True))
    assert (await late.next()).payload == b"", "who has subscribed hears it as any message"
    later = await make(kind, f"{kind}-later", where)
    await later.subscribe(f"apps/{kind}/+", 1)
    assert await later.silence() == []


@EVERY_CLIENT
async def test_a_will_comes_when_the_connection_is_lost_and_only_then(make: Make, where: Door, kind: str) -> None:
    ear = await make(kind, f"{kind}-ear", where)
    await ear.subscribe(f"apps/{kind}/will/+", 2)
    lost = CLIENTS[kind](where, f"{kind}-lost", will=(f"apps/{kind}/will/lost", b"gone", Said(qos=2)))
    orderly = CLIENTS[kind](where, f"{kind}-orderly", will=(f"apps/{kind}/will/orderly", b"gone", Said(qos=2)))
    assert await lost.connect() == 0
    assert await orderly.connect() == 0
    await orderly.disconnect()
    assert await ear.silence() == []
    await lost.lose()
    heard = await ear.next()
    assert (heard.topic, heard.payload, heard.qos) == (f"apps/{kind}/will/lost", b"gone", 2)
    assert await ear.silence() == []
    if kind == "aiomqtt":
        await lost.disconnect()


@EVERY_CLIENT
async def test_members_of_a_shared_subscription_share(make: Make, where: Door, kind: str) -> None:
    members = [await make(kind, f"{kind}-member-{n}", where) for n in range(2)]
    for member in members:
        await member.subscribe(f"$share/team/apps/{kind}/jobs/+", 1)
    alone = await make(kind, f"{kind}-alone", where)
    await alone.subscribe(f"apps/{kind}/jobs/+", 1)
    for n in range(20):
        await alone.publish(f"apps/{kind}/jobs/{n}", str(n).encode())
    assert [int(each.payload) for each in await alone.several(20)] == list(range(20))
    shares = [await member.silence() for member in members]
    assert sorted(int(each.payload) for share in shares for each in share) == list(range(20))
    assert min(len(share) for share in shares) >= 5


@EVERY_CLIENT
async def test_a_request_is_answered_where_it_says_with_all_that_it_carries(make: Make, where: Door, kind: str) -> None:
    asks, answers = await make(kind, f"{kind}-asks", where), await make(kind, f"{kind}-answers", where)
    await answers.subscribe(f"apps/{kind}/ask", 2)
    await asks.subscribe(f"apps/{kind}/answer/#", 2)
    user = (("unit", "kWh"), ("unit", "m³"), ("", ""))
    said = Said(qos=2, user=user, response=f"apps/{kind}/answer/7", correlation=b"\x00\xff7")
    await asks.publish(f"apps/{kind}/ask", b"how much?", said)
    asked = await answers.next()
    assert (asked.payload, asked.user) == (b"how much?", user), "user properties keep their order (§3.3.2.3.7)"
    assert (asked.response, asked.correlation) == (f"apps/{kind}/answer/7", b"\x00\xff7")
    await answers.publish(asked.response, b"42", Said(qos=1, response="none", correlation=asked.correlation))
    answered = await asks.next()
    assert (answered.topic, answered.payload, answered.correlation) == (f"apps/{kind}/answer/7", b"42", b"\x00\xff7")


@EVERY_CLIENT
async def test_what_has_expired_is_not_delivered_and_the_rest_says_how_long_it_is_good(
    make: Make, where: Door, kind: str
) -> None:
    slow = await make(kind, f"{kind}-slow", where, expiry_s=60)
    await slow.subscribe(f"apps/{kind}/fresh", 1)
    await slow.disconnect()
    other = await make(kind, f"{kind}-quick", where)
    for payload, expiry_s in ((b"stale", 1), (b"good", 60), (b"for ever", None)):
        await other.publish(f"apps/{kind}/fresh", payload, Said(qos=1, expiry_s=expiry_s))
    await asyncio.sleep(1.5)
    again = await make(kind, f"{kind}-slow", where, expiry_s=60)
    good, lasting = await again.several(2)
    assert (good.payload, lasting.payload, lasting.expiry_s) == (b"good", b"for ever", None)
    assert good.expiry_s is not None
    assert 50 <= good.expiry_s <= 59, "what is left goes with it [MQTT-3.3.2-6]"
    assert await again.silence() == []


# -- the platform's own door --------------------------------------------------------------------------------


@EVERY_DOOR
@EVERY_CLIENT
async def test_a_device_is_stored_once_and_heard_at_every_quality(
    platform: PlatformProcess, make: Make, kind: str, way: str
) -> None:
    name = TWO_PLACES.format(kind, way)
    program = await make(kind, f"{name}-program", _operator(platform, way))
    assert await program.subscribe("devices/+/telemetry", 2) == 2
    device = await make(kind, name, _device(platform, name, way))
    for n in range(9):
        payload = msgspec.json.encode({"ts": BASE_MS + n * 1000, "values": {"kwh": n + 0.5}})
        topic = ("telemetry", f"devices/{name}/telemetry", "v1/devices/me/telemetry")[n // 3]
        await device.publish(topic, payload, Said(qos=n % 3))
        heard = await program.next()
        assert (heard.topic, heard.payload, heard.qos) == (f"devices/{name}/telemetry", payload, n % 3)
    assert platform.readings(name, 9) == [(f"2026-01-01T00:00:0{n}Z", "kwh", n + 0.5) for n in range(9)]
    assert platform.outcomes(name) == {"stored": 9}
    assert await program.silence() == []


@EVERY_DOOR
@EVERY_CLIENT
async def test_a_program_calls_a_device_and_hears_its_answer(
    platform: PlatformProcess, make: Make, kind: str, way: str
) -> None:
    name = TWO_PLACES.format(kind, way)
    device = await make(kind, name, _device(platform, name, way))
    assert await device.subscribe("v1/devices/me/rpc/request/+", 2) == 2
    program = await make(kind, f"{name}-caller", _operator(platform, way))
    assert await program.subscribe(f"devices/{name}/rpc/response/+", 2) == 2
    for number in range(3):
        await program.publish(f"devices/{name}/rpc/request/{number}", b'{"method":"open"}', Said(qos=number))
        asked = await device.next()
        assert (asked.topic, asked.payload) == (f"v1/devices/me/rpc/request/{number}", b'{"method":"open"}')
        assert asked.qos == number
        await device.publish(f"v1/devices/me/rpc/response/{number}", b'{"done":true}', Said(qos=number))
        answered = await program.next()
        assert (answered.topic, answered.payload) == (f"devices/{name}/rpc/response/{number}", b'{"done":true}')
    assert await device.silence() == []


@EVERY_CLIENT
async def test_calls_wait_for_a_device_that_is_away(platform: PlatformProcess, make: Make, kind: str) -> None:
    name = f"{kind}-tcp"
    door = _device(platform, name)
    device = await make(kind, f"{name}-sleepy", door, expiry_s=60)
    await device.subscribe("v1/devices/me/rpc/request/+", 2)
    await device.disconnect()
    program = await make(kind, f"{name}-patient", _operator(platform))
    for number in range(5):
        await program.publish(f"devices/{name}/rpc/request/{number}", str(number).encode(), Said(qos=2))
    again = await make(kind, f"{name}-sleepy", door, expiry_s=60)
    assert again.present in (True, None)
    assert [int(each.payload) for each in await again.several(5)] == list(range(5))
    assert await again.silence() == []


@EVERY_CLIENT
async def test_a_will_of_a_device_is_stored_and_heard(platform: PlatformProcess, make: Make, kind: str) -> None:
    name = f"{kind}-tls"
    program = await make(kind, f"{kind}-mourner", _operator(platform))
    await program.subscribe(f"devices/{name}/telemetry", 2)
    payload = msgspec.json.encode({"ts": BASE_MS + 3_600_000, "values": {"alive": 0}})
    device = CLIENTS[kind](_device(platform, name, "tls"), name, will=("telemetry", payload, Said(qos=2)))
    assert await device.connect() == 0
    await device.lose()
    heard = await program.next()
    assert (heard.topic, heard.payload) == (f"devices/{name}/telemetry", payload)
    found = await asyncio.to_thread(_reading, platform, name, "alive")
    assert found == [("2026-01-01T01:00:00Z", "alive", 0)]
    if kind == "aiomqtt":
        await device.disconnect()


def _reading(platform: PlatformProcess, device: str, channel: str) -> list[tuple[str, str, float]]:
    until = time.monotonic() + ANSWER_S_MAX
    while not (found := [each for each in platform.readings(device) if each[1] == channel]):
        assert time.monotonic() < until, f"no {channel} of {device}"
        time.sleep(0.05)
    return found


@EVERY_CLIENT
async def test_a_device_hears_and_says_nothing_outside_its_tree(
    platform: PlatformProcess, make: Make, kind: str
) -> None:
    thief = await make(kind, f"{kind}-thief", _device(platform, "thief"))
    for pattern in ("#", "+/+/telemetry", "devices/#", "devices/+/telemetry", "devices/meter/#", "apps/#", "$SYS/#",
                    "$share/g/devices/thief/#"):  # fmt: skip
        assert await thief.subscribe(pattern) >= 0x80, pattern
    meter = await make(kind, f"{kind}-meter", _device(platform, "meter"))
    await meter.subscribe("v1/devices/me/rpc/request/+")
    before = len(platform.readings("meter"))
    for topic in ("devices/meter/telemetry", "devices/meter/rpc/request/1"):
        await thief.publish(topic, b'{"kwh":1}', Said(qos=0))
    await meter.publish("telemetry", msgspec.json.encode({"ts": BASE_MS + before, "values": {"v": 1}}))
    assert await meter.silence() == []
    assert await thief.silence() == []
    assert len(platform.readings("meter", before + 1)) == before + 1


# -- back-end programs --------------------------------------------------------------------------------------


@EVERY_CLIENT
async def test_a_program_hears_its_own_tenant_and_no_other(
    platform: PlatformProcess, other_tenant: str, make: Make, kind: str
) -> None:
    ours = await make(kind, f"{kind}-ours", _operator(platform))
    theirs = await make(kind, f"{kind}-theirs", Door(platform.ports.mqtt, "acme/admin", other_tenant))
    anybody = await make(kind, f"{kind}-anybody", Door(platform.ports.open_mqtt))
    for program in (ours, theirs, anybody):
        assert await program.subscribe("devices/+/telemetry") == 2
        assert await program.subscribe("devices/#") == 2
    meter = await make(kind, f"{kind}-meter", _device(platform, "meter"))
    payload = msgspec.json.encode({"ts": BASE_MS + 7_000, "values": {"v": 230}})
    await meter.publish("telemetry", payload, Said(qos=2))
    heard = await ours.next()
    assert (heard.topic, heard.payload) == ("devices/meter/telemetry", payload)
    assert await ours.silence() == [], "two filters, one copy"
    assert await theirs.silence(0) == []
    assert await anybody.silence(0) == []


@EVERY_CLIENT
async def test_what_a_program_of_another_tenant_says_reaches_nobody_here(
    platform: PlatformProcess, other_tenant: str, make: Make, kind: str
) -> None:
    meter = await make(kind, f"{kind}-meter", _device(platform, "meter"))
    await meter.subscribe("devices/meter/#")
    theirs = await make(kind, f"{kind}-theirs", Door(platform.ports.mqtt, "admin", other_tenant))
    assert await theirs.subscribe("devices/#") == 2
    await theirs.publish("devices/meter/rpc/request/1", b"open", Said(qos=1))
    assert (await theirs.next()).payload == b"open"
    assert await meter.silence() == []


@EVERY_CLIENT
async def test_a_program_without_its_own_name_is_not_let_in(platform: PlatformProcess, kind: str) -> None:
    for user, password in (
        ("meter", platform.admin_token),
        ("acme/operator", platform.admin_token),
        ("operator", "no"),
    ):
        stranger = CLIENTS[kind](Door(platform.ports.mqtt, user, password), f"{kind}-stranger")
        assert await stranger.connect() in (0x86, 0x87)
        if kind == "paho":
            await stranger.disconnect()


@EVERY_CLIENT
async def test_a_viewer_hears_and_says_nothing(platform: PlatformProcess, viewer: str, make: Make, kind: str) -> None:
    meter = await make(kind, f"{kind}-meter", _device(platform, "meter"))
    await meter.subscribe("v1/devices/me/rpc/request/+")
    watches = await make(kind, f"{kind}-viewer", Door(platform.ports.mqtt, "admin", viewer))
    assert await watches.subscribe("devices/+/status", 1) == 1
    await watches.publish("devices/meter/rpc/request/1", b"open", Said(qos=0))
    code = await watches.publish("devices/meter/rpc/request/2", b"open", Said(qos=1))
    if kind == "paho":
        assert code == 0x87
    await meter.publish("status", b'{"sleep_s":1}', Said(qos=1))
    assert (await watches.next()).topic == "devices/meter/status"
    assert await meter.silence() == []


@EVERY_CLIENT
async def test_a_suspended_device_is_cut_and_hears_nothing_until_it_is_active_again(
    platform: PlatformProcess, make: Make, kind: str
) -> None:
    door, name = _device(platform, "stopped"), f"{kind}-stopped"
    device = CLIENTS[kind](door, name, expiry_s=600)
    assert await device.connect() == 0
    await device.subscribe("v1/devices/me/rpc/request/+", 2)
    program = await make(kind, f"{kind}-stopper", _operator(platform))
    began = time.monotonic()
    await asyncio.to_thread(platform.post, "/api/v1/devices/stopped/suspend")
    await asyncio.wait_for(device.ended.wait(), CUT_S_MAX)
    assert time.monotonic() - began < CUT_S_MAX
    await device.disconnect()
    await program.publish("devices/stopped/rpc/request/1", b"one", Said(qos=2))
    refused = CLIENTS[kind](door, name, expiry_s=600)
    assert await refused.connect() in (0x86, 0x87)
    if kind == "paho":
        await refused.disconnect()
    assert await refused.silence(0.1) == []
    await asyncio.to_thread(platform.post, "/api/v1/devices/stopped/activate")
    again = await make(kind, name, door, expiry_s=600)
    assert (await again.next()).payload == b"one"
    assert await again.silence() == []


# -- mosquitto's clients ------------------------------------------------------------------------------------

NEEDS_MOSQUITTO = pytest.mark.needs("mosquitto_pub", "mosquitto_sub")
WAYS = pytest.mark.parametrize("way", ["open", "tcp", "tls"])


async def _mosquitto(program: str, door: Door, *options: str) -> str:
    trust = ["--cafile", door.ca] if door.ca else []
    who = ["-u", door.user, "-P", door.password] if door.user else []
    host = ["-h", "localhost" if door.ca else "127.0.0.1", "-p", str(door.port)]
    running = await asyncio.create_subprocess_exec(
        program, *host, *trust, *who, *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        said, complaint = await asyncio.wait_for(running.communicate(), 2 * ANSWER_S_MAX)
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode == 0, complaint.decode()
    return said.decode()


def _mosquittos(platform: PlatformProcess, way: str) -> tuple[Door, Door, str, str]:
    """Where each end connects, and what one says the other hears."""
    if way == "open":
        door = Door(platform.ports.open_mqtt)
        return door, door, "plain/said", "plain/said"
    name = {"tcp": "mosquitto", "tls": "mosquitto-tls"}[way]
    return _device(platform, name, way), _operator(platform, way), "attributes", f"devices/{name}/attributes"


@NEEDS_MOSQUITTO
@WAYS
@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])
async def test_mosquitto_sub_hears_what_mosquitto_pub_said_while_it_was_away(
    platform: PlatformProcess, way: str, version: str
) -> None:
    speaks, hears, topic, shown = _mosquittos(platform, way)
    session = ["-V", version, "-i", f"{way}-{version}", "-c", "-q", "2", "-t", shown]
    await _mosquitto("mosquitto_sub", hears, *session, "-E")
    for qos in (1, 2):
        await _mosquitto("mosquitto_pub", speaks, "-V", version, "-q", str(qos), "-t", topic, "-m", f"at {qos}")
    heard = await _mosquitto("mosquitto_sub", hears, *session, "-C", "2", "-W", "10", "-F", "%t %q %p")
    assert heard.splitlines() == [f"{shown} 1 at 1", f"{shown} 2 at 2"]


@NEEDS_MOSQUITTO
@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])
async def test_mosquitto_sub_hears_a_retained_message(platform: PlatformProcess, version: str) -> None:
    door = Door(platform.ports.open_mqtt)
    topic = f"kept/{version}"
    await _mosquitto("mosquitto_pub", door, "-V", version, "-q", "2", "-t", topic, "-m", "kept", "-r")
    options = ["-V", version, "-t", "kept/+", "-C", "1", "-W", "10", "-F", "%r %p"]
    assert await _mosquitto("mosquitto_sub", door, *options) == "1 kept\n"
    await _mosquitto("mosquitto_pub", door, "-V", version, "-q", "1", "-t", topic, "-r", "-n")
