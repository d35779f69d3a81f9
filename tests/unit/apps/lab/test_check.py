"""The checking process against an API that is right, and against one that is wrong in every way we could think of."""

import json

import pytest

from ringmain.apps.lab import check

pytestmark = pytest.mark.slow  # seconds together; the fast tier has its neighbours


@pytest.fixture
def verdict(fake_api, two_weeks, monkeypatch, capsys):
    """Run the check; (exit code, verdict)."""

    def run(*more):
        monkeypatch.setenv(check.TOKEN_VARIABLE, "secret")
        arguments = ["--data", str(two_weeks), "--year", "2013", "--zone", "Europe/London"]
        arguments += ["--port", str(fake_api.port), "--device", "m", "--channel", "energy_wh"]
        arguments += ["--flat-bill", "1", "--tou-bill", "2", "--settle-s", "0", *more]
        code = check.main(arguments)
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else err

    return run


def test_a_sound_platform_is_found_sound(fake_api, verdict):
    code, found = verdict()
    assert found["complaints"] == []
    assert code == 0
    assert (found["intervals"], found["duplicates"], found["conflicts"], found["lost"]) == (672, 1, 0, 0)
    assert found["missing"] == 17_520 - 672
    assert found["energy_kwh"] == f"{sum(fake_api.stored.values()) / 1000:.3f}"
    assert found["currency"] == "GBP"
    assert found["bill_sha256"] == fake_api.bill_hashes[1]
    assert fake_api.authorization == "Bearer secret"


def test_what_is_stored_a_moment_later_is_waited_for(fake_api, verdict):
    fake_api.not_yet_stored = 350
    code, found = verdict("--settle-s", "5")
    assert (code, found["complaints"]) == (0, [])


def test_what_is_never_stored_is_lost(fake_api, verdict):
    del fake_api.readings[40]
    code, found = verdict("--settle-s", "0.3")
    assert code == 1
    assert (found["lost"], found["intervals"]) == (1, 671)
    assert "1 readings missing from the API" in found["complaints"][0]


def drop(api):
    del api.readings[100]


def alter(api):
    at, value = api.readings[100]
    api.readings[100] = (at, value + 1)


def as_float(api):
    at, value = api.readings[100]
    api.readings[100] = (at, float(value))


def twice(api):
    api.readings.insert(100, api.readings[100])


def invent(api):
    api.readings.append((api.readings[-1][0] + 1_800_000, 1))


def shuffle(api):
    api.readings[100:102] = reversed(api.readings[100:102])


def half_a_window(api):
    api.windows[3]["sum"] -= 1


def no_window(api):
    del api.windows[3]


def window_twice(api):
    api.windows.append(api.windows[-1])


def a_conflict(api):
    api.conflicts.append({"id": 1})


def more_duplicates(api):
    api.tally["duplicate"] += 1
    api.tally["received"] += 1


def fewer_stored(api):
    api.tally["stored"] -= 1


def unbalanced(api):
    api.tally["rejected"] = 1


def wrong_hash(api):
    api.bill_hashes[1] = "0" * 64


def bill(field, value):
    return lambda api: api.edit_bill(1, lambda document: document.update({field: value}))


def bill_line(field, value, number=2):
    return lambda api: api.edit_bill(number, lambda document: document["lines"][0].update({field: value}))


def coverage(field, value):
    return lambda api: api.edit_bill(1, lambda document: document["coverage"].update({field: value}))


def second_line(api):
    api.edit_bill(1, lambda document: document["lines"].append(document["lines"][0]))


def other_readings(api):
    api.edit_bill(1, lambda document: document["sources"].update(readings="0" * 64))


def bands_by_utc(api):
    """What a bill comes to when its hours are counted in UTC: one half hour moves from one band to another."""

    def move(document):
        night, peak, _ = document["lines"]
        night["quantity"], peak["quantity"] = peak["quantity"], night["quantity"]

    api.edit_bill(2, move)


@pytest.mark.parametrize(
    ("lie", "text"),
    [
        (drop, "readings missing from the API"),
        (alter, "readings of another value"),
        (as_float, "readings of another value"),
        (twice, "readings returned more than once"),
        (invent, "readings not in the source"),
        (shuffle, "out of order"),
        (half_a_window, "1 day windows differ"),
        (no_window, "1 day windows differ"),
        (window_twice, "1 day windows are served twice"),
        (a_conflict, "books: 1 conflicts"),
        (more_duplicates, "books: 674 received"),
        (fewer_stored, "books: 671 stored"),
        (unbalanced, "do not come to"),
        (wrong_hash, "its hash is"),
        (bill("currency", "EUR"), "currency: the bill says EUR"),
        (bill("zone", "UTC"), "zone: the bill says UTC"),
        (bill("total", "0.01"), "total: the bill says 0.01"),
        (bill("net", "0.01"), "net plus VAT"),
        (bill("energy_kwh", "1"), "energy in kWh"),
        (bill("intervals", 1), "intervals: the bill says 1"),
        (bill("span", {"from": "2013-01-01T01:00:00Z", "to": "2014-01-01T00:00:00Z"}), "period"),
        (bill_line("amount", "0.01"), "amounts of the lines"),
        (bill_line("price", "0.04"), "line 1: energy"),
        (bill_line("quantity", "1"), "energy of its lines"),
        (bill_line("kind", "standing"), "line 1: standing"),
        (bill_line("evidence", {"count": 1}), "readings of its lines"),
        (coverage("complete", True), "complete: the bill says True"),
        (coverage("expected", 1), "expected intervals"),
        (coverage("present", 1), "present intervals"),
        (coverage("missing", 0), "missing intervals"),
        (second_line, "sum of its lines"),
        (other_readings, "hash of its readings"),
        (bands_by_utc, "line 1: energy"),
    ],
)
def test_every_lie_is_found(fake_api, verdict, lie, text):
    lie(fake_api)
    code, found = verdict()
    assert code == 1
    assert any(text in complaint for complaint in found["complaints"]), found["complaints"]


def test_rows_that_were_sent_again_may_be_duplicates_once_more(fake_api, verdict):
    more_duplicates(fake_api)
    code, found = verdict("--resent-max", "1")
    assert (code, found["duplicates"], found["duplicates_resent"]) == (0, 1, 1)


def test_a_bill_that_is_not_there_means_no_verdict(fake_api, verdict):
    del fake_api.bills[2]
    assert verdict() == (2, "it could not be checked: GET /api/v1/bills/2: 404 There is no such bill.\n")


def test_a_bill_of_another_shape_means_no_verdict(fake_api, verdict):
    fake_api.bills[1] = b'{"format": 2}'
    code, error = verdict()
    assert code == 2
    assert "/api/v1/bills/1: the answer is not what the API promises" in error


def test_a_data_file_that_is_not_there_means_no_verdict(fake_api, verdict):
    code, error = verdict("--data", "nowhere.csv")
    assert code == 2
    assert "nowhere.csv" in error
