"""docs/walk.md names the functions one PUBLISH passes; this sends one through a real socket and watches."""

import asyncio
import importlib
import re
import sys
import threading
import time
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from ringmain.adapters.embedded.clock import EmbeddedClock
from ringmain.apps.config import Config, Storage
from ringmain.apps.server.compose import House
from ringmain.apps.server.identity import load_or_create
from ringmain.apps.server.stores import open_stores
from ringmain.metering.installation import Account, Installation, Installations, UsagePoint
from ringmain.metering.tariff_file import read_tariff
from ringmain.model.ids import DEFAULT_TENANT

PAGE = Path(__file__).parents[2] / "docs" / "walk.md"
STEP = re.compile(r"^(\d+)\. `([\w.]+):([\w.]+)`", re.MULTILINE)

FLAT = files("ringmain.metering.data") / "lcl-flat.toml"
CONNECT = b"\x10\x1e\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01c\x00\x05meter\x00\x08secret-1"
TOPIC = b"telemetry"
PAYLOAD = b'{"ts": 1357000200000, "values": {"energy_wh": 143}}'


def steps():
    return [(int(number), module, name) for number, module, name in STEP.findall(PAGE.read_text())]


def codes():
    """The code object of each step."""
    found = {}
    for number, module, name in steps():
        target = importlib.import_module(module)
        for part in name.split("."):
            target = getattr(target, part)
        found[target.__code__] = number
    return found


def test_the_page_counts_its_steps_without_a_gap():
    assert [number for number, _, _ in steps()] == list(range(1, len(steps()) + 1))
    assert len(steps()) > 20


@pytest.mark.slow
async def test_a_publish_passes_the_functions_of_the_page_in_order(tmp_path):
    wanted = codes()
    seen, watching = [], threading.Event()

    def watch(frame, event, _):
        if event == "call" and watching.is_set() and (number := wanted.get(frame.f_code)) and number not in seen:
            seen.append(number)

    threading.setprofile(watch)  # before the store's and the log's threads are started
    identity = load_or_create(tmp_path, time.time_ns() // 1_000_000)
    config, clock = Config(storage=Storage(dir=str(tmp_path))), EmbeddedClock()
    house = await House(config, identity, await open_stores(config, clock), clock).open(identity)
    await house.lifecycle.import_csv(DEFAULT_TENANT, "id,profile,token\nmeter,meter,secret-1\n")
    await put_documents(house)
    running = []
    try:
        async with asyncio.TaskGroup() as tasks:
            door = house.mqtt_door(tasks)
            server = await asyncio.get_running_loop().create_server(door.protocol, "127.0.0.1", 0)
            running += [tasks.create_task(house.intake.run()), tasks.create_task(house.ingestion.run())]
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(CONNECT)
            assert await reader.readexactly(4) == b"\x20\x02\x00\x00"
            sys.setprofile(watch)
            watching.set()
            body = len(TOPIC).to_bytes(2, "big") + TOPIC + b"\x00\x01" + PAYLOAD
            writer.write(bytes((0x32, len(body))) + body)
            assert await reader.readexactly(4) == b"\x40\x02\x00\x01"
            while house.ingestion.stored < 1:
                await asyncio.sleep(0.01)
            bill = await house.metering.billing.issue(DEFAULT_TENANT, "household", date(2013, 1, 1), date(2013, 1, 2))
            writer.close()
            server.close()
            house.draining = True  # or what follows an activation waits for a store that has ended
            for task in running:
                task.cancel()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        await house.close()
    assert b"0.143" in bill.body
    assert seen == [number for number, _, _ in steps()]


async def put_documents(house):
    documents = house.metering.documents
    await documents.put_usage_point(DEFAULT_TENANT, UsagePoint(id="home", site="main"))
    link = Installation(device="meter", channel="energy_wh", from_=datetime(2012, 1, 1, tzinfo=UTC))
    await documents.put_installations(DEFAULT_TENANT, Installations(usage_point="home", links=(link,)))
    await documents.put_tariff(DEFAULT_TENANT, read_tariff(FLAT.read_bytes(), FLAT.name))
    await documents.put_account(DEFAULT_TENANT, Account(id="household", usage_point="home", tariff="lcl-flat"))
