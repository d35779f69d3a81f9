"""Installation: links that overlap or cannot be computed with are refused; documents survive the ledger."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from ringmain.metering.canonical import canonical, read_back, refuse_faults, sha256_of
from ringmain.metering.installation import Account, Installation, Installations, UsagePoint
from ringmain.model.errors import Failed, Refused
from ringmain.model.time import INSTANT_MAX, parse_rfc3339

START, LATER = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 6, 1, tzinfo=UTC)


def link(device="m1", channel="energy_wh", start=START, end=None, **more):
    return Installation(device, channel, start, end, **more)


def faults(*links):
    return [str(fault) for fault in Installations("up", links).faults()]


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (link(device="a/b"), "$.links[0].device: expected a name"),
        (link(channel=""), "$.links[0].channel: expected the name of a channel"),
        (link(start=datetime(1960, 1, 1, tzinfo=UTC)), "$.links[0].from: expected a time from 1970"),
        (link(end=START), "$.links[0].to: 2013-01-01T00:00:00+00:00 is not after from"),
        (link(end=datetime(2200, 1, 1, tzinfo=UTC)), "$.links[0].to: expected a time until 2099"),
        (link(interval_s=0), "$.links[0].interval_s: expected seconds that divide a day, got 0"),
        (link(interval_s=7), "$.links[0].interval_s: expected seconds that divide a day, got 7"),
        (link(multiplier=Decimal(0)), "$.links[0].multiplier: expected a number above 0"),
        (link(multiplier=Decimal("NaN")), "$.links[0].multiplier: expected a number above 0"),
        (link(multiplier=Decimal("1.000000000001")), "$.links[0].multiplier: expected at most 12 digits"),
        (link(modulus=1000), "$.links[0].modulus: expected a positive 64-bit number, and only for a register"),
        (link(reading="register", modulus=0), "$.links[0].modulus: expected a positive"),
    ],
)
def test_a_link_that_cannot_be_computed_with(bad, fault):
    (found,) = faults(bad)
    assert found.startswith(fault)


def test_links_that_overlap_would_count_energy_twice():
    assert faults(link(), link("m2", start=LATER)) == ["$.links[1].from: overlap: m1 before it is still there"]
    (found,) = faults(link(end=LATER), link("m2", start=START))
    assert found == "$.links[1].from: overlap: m1 before it leaves at 2013-06-01T00:00:00+00:00"
    assert faults(link(end=LATER), link("m2", start=LATER)) == []


def test_too_many_links():
    assert faults(*[link()] * 201) == ["$.links: expected at most 200 links, got 201"]


def test_names():
    assert [fault.path for fault in UsagePoint("", site="a b").faults()] == ["$.id", "$.site"]
    assert [fault.path for fault in Account("a", "", "x/y").faults()] == ["$.usage_point", "$.tariff"]


def test_a_refusal_names_the_first_fault_and_counts_the_others():
    with pytest.raises(Refused, match=r"\$\.id: .*, got '' \(1 more\)") as refused:
        refuse_faults(UsagePoint("", site=""), "Correct it.")
    assert (refused.value.code, refused.value.hint) == ("unprocessable", "Correct it.")


@pytest.mark.parametrize(
    "body",
    [
        b'{"device":"m","channel":"c","from":"2013-01-01T00:00:00"}',
        b'{"device":"m","channel":"c","from":"2013-01-01T00:00:00Z","unit":"J"}',
        b'{"device":"m","channel":"c","from":"2013-01-01T00:00:00Z","phase":1}',
    ],
)
def test_a_time_without_a_zone_a_foreign_unit_and_an_unknown_field_are_no_link(body):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=Installation)


def test_documents_come_back_from_their_bytes_as_they_were():
    document = Installations("up", (link(end=LATER, multiplier=Decimal("120.50")), link("m2", start=LATER, unit="kWh")))
    body = canonical(document)
    assert read_back(body, Installations) == document
    assert canonical(read_back(body, Installations)) == body
    assert b'"multiplier":"120.50"' in body
    assert len(sha256_of(body)) == 64


def test_a_stored_document_that_cannot_be_read_is_our_fault():
    with pytest.raises(Failed, match="left as it is"):
        read_back(b"{", Account)


def test_an_open_link_lasts_as_long_as_stamps_do():
    assert link().span.end == INSTANT_MAX
    assert link(end=LATER).span.end == parse_rfc3339("2013-06-01T00:00:00Z")
