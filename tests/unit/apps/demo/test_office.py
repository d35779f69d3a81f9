"""The office: accounts first, then bills, and again from where it was when the platform comes back."""

import threading

import pytest
from tests.unit.apps.demo.played import PlayedApi, fleet, full, gateway

from ringmain.apps.demo.office import Office
from ringmain.apps.demo.plan import Kept
from ringmain.apps.lab.api import ApiError
from ringmain.model.time import parse_rfc3339

KEPT = Kept("", "", parse_rfc3339("2026-10-25T00:00:00Z"), 2, 1)


class Desk:
    """A platform without accounts; `trouble` comes once at that path."""

    def __init__(self):
        self.there = set()
        self.trouble = {}
        self.figures = full()
        self.figures.homes = fleet(virtual="2026-10-26T04:00:00Z", behind=0)
        self.figures.edge = gateway(backlog_readings=0)
        self.told = []
        self.api = PlayedApi(self.answer)
        self.office = Office(self.api, KEPT, self.figures, self.told.append)

    def answer(self, method, path, body):
        if path in self.trouble:
            return self.trouble.pop(path)
        if method == "PUT":
            self.there.add(path)
        elif method == "POST":
            return {"number": 1}
        elif path == "/api/v1/bills":
            return []
        elif "/bills/" in path:
            return {"total": "1.00", "energy_kwh": "2.000"}
        elif path not in self.there:
            return ApiError(404, "there is none")
        return {}

    def paths(self, method):
        return [path for asked, path, _ in self.api.asked if asked == method]


@pytest.fixture
def desk():
    return Desk()


def test_nothing_is_done_before_the_first_reading_is_stored(desk):
    desk.figures.platform_answers = False
    assert desk.office.step() is False
    assert desk.api.asked == []


def test_accounts_come_before_bills_each_once(desk):
    while desk.office.step():
        pass
    assert [path for path in desk.paths("PUT") if "accounts" in path] == [
        f"/api/v1/accounts/home-000{n}" for n in (1, 2)
    ]
    assert desk.paths("POST") == [f"/api/v1/accounts/home-000{n}/bills" for n in (1, 2)]


def test_accounts_that_are_there_are_not_made_again(desk):
    desk.there.add("/api/v1/accounts/home-0002")
    while desk.office.step():
        pass
    assert desk.paths("PUT") == []
    assert len(desk.paths("POST")) == 2


def test_a_platform_that_went_away_is_no_end(desk):
    desk.trouble = {"/api/v1/usage-points/home-0002": ApiError(0, "no answer")}
    assert desk.office.step()
    assert desk.office.step() is False
    while desk.office.step():
        pass
    assert {f"/api/v1/accounts/home-000{n}" for n in (1, 2)} <= desk.there
    assert desk.told == []


def test_a_refusal_is_told_once(desk):
    while not desk.paths("POST"):
        desk.trouble = {"/api/v1/accounts/home-0001/bills": ApiError(409, "not yet")}
        desk.office.step()
    desk.trouble = {"/api/v1/accounts/home-0001/bills": ApiError(409, "not yet")}
    for _ in range(3):
        desk.office.step()
    assert desk.told == ["the bill of home-0001 waits: not yet"]


def test_its_thread_ends_when_it_is_told(desk):
    desk.figures.platform_answers = False
    before = threading.active_count()
    desk.office.start()
    assert threading.active_count() == before + 1
    desk.office.stop()
    for thread in threading.enumerate():
        if thread.name == "office":
            thread.join(5)
    assert threading.active_count() == before
