"""An API that serves what a sound platform would of two weeks of the sample household, and can be made to lie."""

import copy
import json
import threading
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from ringmain.apps.lab.api import Raw
from ringmain.apps.lab.provision import TARIFFS
from ringmain.metering.billing import make_bill
from ringmain.metering.canonical import sha256_of
from ringmain.metering.collection import Collected
from ringmain.metering.data import sample_household, tariff_file
from ringmain.metering.installation import Account, Installation, Installations
from ringmain.metering.interval_file import read_interval_file
from ringmain.metering.intervals import EnergyInterval, completeness
from ringmain.metering.rating import BillPeriod
from ringmain.metering.tariff_file import read_tariff

ZONE = "Europe/London"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STEP_MS = 1_800_000
PAGE = 250


def rfc3339(at_ms):
    return (EPOCH + timedelta(milliseconds=at_ms)).isoformat().replace("+00:00", "Z")


class FakeApi:
    """Serves `readings`, `windows`, `tally`, `conflicts` and `bills`, in pages of `PAGE` at most."""

    def __init__(self, data):
        self.data = data
        rows = [(row.start_ms, row.energy_wh) for row in read_interval_file(data)]
        self.stored = dict(rows)
        self.readings = sorted(self.stored.items())
        self.tally = {"received": len(rows), "stored": len(self.stored), "duplicate": len(rows) - len(self.stored)}
        self.conflicts = []
        self.windows = self.windows_of(self.readings)
        self.bills = {number: self.bill_of(account) for number, account in enumerate(TARIFFS, start=1)}
        self.bill_hashes = {number: sha256_of(body) for number, body in self.bills.items()}
        self.not_yet_stored = 0
        self.authorization = None

    def windows_of(self, readings):
        days = {}
        for at_ms, value in readings:
            offset = timedelta(hours=1) if at_ms >= 1_364_691_600_000 else timedelta()  # BST from 2013-03-31T01:00Z
            local = EPOCH + timedelta(milliseconds=at_ms) + offset
            days.setdefault(local.date(), []).append((at_ms, value))
        return [
            {
                "start": rfc3339(day[0][0]),
                "count": len(day),
                "sum": sum(value for _, value in day),
                "min": min(value for _, value in day),
                "max": max(value for _, value in day),
            }
            for day in days.values()
        ]

    def bill_of(self, account):
        name = TARIFFS[account]
        period = BillPeriod(date(2013, 1, 1), date(2014, 1, 1), ZONE)
        intervals = tuple(EnergyInterval(at, at + STEP_MS, wh) for at, wh in self.readings)
        return make_bill(
            Account(account, "home", name),
            Installations("home", (Installation("m", "energy_wh", datetime(2013, 1, 1, tzinfo=UTC)),)),
            read_tariff(tariff_file(name).read_bytes(), f"{name}.toml"),
            period,
            Collected(intervals, completeness(intervals, period.span, STEP_MS, 0), (), ()),
        ).body

    def edit_bill(self, number, change):
        bill = json.loads(self.bills[number])
        change(bill)
        self.bills[number] = json.dumps(bill).encode()
        self.bill_hashes[number] = sha256_of(self.bills[number])

    def answer(self, path, query):
        kind = path.rsplit("/", 1)[-1]
        if kind == "readings":
            self.not_yet_stored = max(0, self.not_yet_stored - 100)
            visible = self.readings[: len(self.readings) - self.not_yet_stored]
            return self.page(
                [{"channel": "energy_wh", "at": rfc3339(at), "value": value} for at, value in visible], query
            )
        if kind == "windows":
            assert query["size"] == "day"
            return self.page(self.windows, query)
        if kind == "conflicts":
            return self.page(self.conflicts, query)
        counts = {name: count for name, count in self.tally.items() if name != "received"}
        items = [{"outcome": name, "reason": "", "count": count} for name, count in counts.items()]
        return {"received": self.tally["received"], "items": items}

    def page(self, items, query):
        start = int(query.get("cursor", 0))
        end = start + min(PAGE, int(query["limit"]))
        return {"items": items[start:end], "next": str(end) if end < len(items) else None}


class ScriptedApi:
    """Answers from a function; remembers what was asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def raw(self, method, path, body=None):
        self.asked.append((method, path, body))
        return Raw(200, {}, self.answer(method, path, body))

    def send(self, method, path, type_, body=None):
        return msgspec.json.decode(self.raw(method, path, body).body, type=type_)

    def close(self):
        self.asked.append("closed")


def handler_of(api):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one segment: two would wait for the delayed acknowledgement

        def do_GET(self):
            api.authorization = self.headers["authorization"]
            split = urlsplit(self.path)
            headers, status = {}, 200
            if split.path.startswith("/api/v1/bills/"):
                number = int(split.path.rsplit("/", 1)[-1])
                headers = {"X-Bill-Sha256": api.bill_hashes.get(number, "")}
                body = api.bills.get(number)
                if body is None:
                    status, body = (
                        404,
                        b'{"title": "Not found", "detail": "There is no such bill.", "hint": "List them."}',
                    )
            else:
                query = {name: values[0] for name, values in parse_qs(split.query).items()}
                body = json.dumps(api.answer(split.path, query)).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


@pytest.fixture
def scripted():
    """An API that answers from a function."""
    return ScriptedApi


@pytest.fixture(scope="session")
def two_weeks(tmp_path_factory):
    """Sample rows of 2013-03-22 to 2013-04-04: a duplicate, and the night the clocks go forward."""
    lines = ["start,value"]
    for row in read_interval_file(sample_household()):
        at = EPOCH + timedelta(milliseconds=row.start_ms)
        if date(2013, 3, 22) <= at.date() <= date(2013, 4, 4):
            lines.append(f"{at:%Y-%m-%d %H:%M:%S},{row.energy_wh / 1000}")
    file = tmp_path_factory.mktemp("data") / "two-weeks.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture(scope="session")
def sound_api(two_weeks: Path):
    return FakeApi(two_weeks)


@pytest.fixture
def fake_api(sound_api):
    api = copy.deepcopy(sound_api)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(api))
    server.daemon_threads = True
    api.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="fake-api")
    thread.start()
    yield api
    server.shutdown()
    thread.join()
    server.server_close()
