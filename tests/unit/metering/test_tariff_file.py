"""Tariff files: every mistake is refused with file, line and field; both formats say the same tariff."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.metering.data import TARIFFS, tariff_file
from ringmain.metering.tariff_file import read_tariff
from ringmain.model.errors import Refused

UNHURRIED = settings(deadline=None)  # a busy machine is not a failure

TOML = """\
id = "tou"
name = "Time of use"
currency = "GBP"

[[versions]]
valid_from = 2012-01-01
vat_percent = 5

[[versions.periods]]
name = "Day"
price = "0.20"

[[versions.periods]]
name = "Night"
price = 0.10
from = "00:00"
to = "06:00"
"""

JSON = """{
  "id": "tou", "name": "Time of use", "currency": "GBP",
  "versions": [
    {"valid_from": "2012-01-01",
     "vat_percent": "5",
     "periods": [
       {"name": "Day", "price": "0.20"},
       {"name": "Night",
        "price": 0.10,
        "from": "00:00", "to": "06:00"}]}
  ]
}"""


def refusal(text, name):
    with pytest.raises(Refused) as refused:
        read_tariff(text.encode() if isinstance(text, str) else text, name)
    assert refused.value.hint
    return refused.value.detail


def test_both_formats_say_the_same_and_numbers_are_decimals_as_written():
    one, other = read_tariff(TOML.encode(), "t.toml"), read_tariff(JSON.encode(), "t.json")
    assert one == other
    assert str(one.versions[0].periods[1].price) == "0.10"


@pytest.mark.parametrize(
    ("was", "becomes", "detail"),
    [
        ("price = 0.10", 'price = "abc"', "line 15: PERIOD.price: expected a decimal number, got 'abc'"),
        ("price = 0.10", "price = [1]", "line 15: PERIOD.price: expected a decimal number, got [1]"),
        ("price = 0.10", "price = nan", "line 15: PERIOD.price: expected a decimal number, got 'NaN'"),
        ("price = 0.10", "price = -0.1", "line 15: PERIOD.price: expected 0 to 1000000, got '-0.1'"),
        ("price = 0.10", "", "line 13: PERIOD: the required field price is missing"),
        ("price = 0.10", "prise = 0.1", "line 15: PERIOD.prise: unknown field"),
        ("price = 0.10", "price = 0.1 0", "line 15: $: not TOML: Expected newline or end of document"),
        ("price = 0.10", "price = 1\nprice = 2", "line 16: $: not TOML: Cannot overwrite a value"),
        ('"06:00"', '"6"', "line 17: PERIOD.to: expected a local time HH:MM from 00:00 to 24:00, got '6'"),
        ('to = "06:00"\n', "", "line 13: PERIOD: expected both from and to"),
        ('to = "06:00"\n', 'to = "06:00', "line 17: $: not TOML: Unterminated string"),
        ("2012-01-01", '"2012-13-01"', "line 6: $.versions[0].valid_from: invalid RFC3339 encoded date"),
        ("valid_from = 2012-01-01", "valid_from = 7", "line 6: $.versions[0].valid_from: expected `date`, got 7"),
        ('"GBP"', '"£"', "line 3: $.currency: expected an ISO 4217 code such as GBP, got '£'"),
        ('id = "tou"', 'id = "t/u"', "line 1: $.id: expected a name of 1-64 letters"),
        ('id = "tou"\n', "", "line 1: $: the required field id is missing"),
        ("vat_percent = 5", "vat_percent = 500", "line 7: $.versions[0].vat_percent: expected 0 to 100, got '500'"),
        ("vat_percent = 5", 'price = "1"', "line 5: $.versions[0]: expected either price (flat) or periods"),
        ("vat_percent = 5", "vat_percent = " + "9" * 5000, "line 7: $: a number of more than 4,300 digits"),
        ("vat_percent = 5", "x = " + "[" * 40 + "]" * 40, "line 1: $: nested deeper than 32"),
        ("vat_percent = 5", "x = " + "[" * 9000 + "]" * 9000, "line 1: $: nested deeper than 32"),
    ],
)  # fmt: skip
def test_a_mistake_in_toml(was, becomes, detail):
    assert was in TOML
    assert refusal(TOML.replace(was, becomes), "tariff.toml").startswith(
        f"tariff.toml: {detail}".replace("PERIOD", "$.versions[0].periods[1]")
    )


@pytest.mark.parametrize(
    ("was", "becomes", "detail"),
    [
        ("0.10", '"abc"', "line 9: PERIOD.price: expected a decimal number, got 'abc'"),
        ("0.10", "NaN", "line 9: PERIOD.price: expected a decimal number, got 'NaN'"),
        ("0.10", "0.1,, ", "line 9: $: not JSON: Expecting property name enclosed in double quotes"),
        ("0.10", '1, "price": 2', "line 9: PERIOD.price: given twice"),
        ("0.10", "9" * 5000, "line 9: $: a number of more than 4,300 digits"),
        ("0.10", "[" * 9000 + "]" * 9000, "line 1: $: nested deeper than 32"),
        ('"Night"', '""', "line 8: PERIOD.name: expected `str` of length >= 1, got ''"),
        ('"Night"', '"' + "x" * 200 + '"', "line 8: PERIOD.name: expected `str` of length <= 120, got 'xxx"),
        ('"to"', '"until"', "line 10: PERIOD.until: unknown field"),
        ('"06:00"}]}', '"06:00", "weekdays": ["mon",\n"Tuesday"]}]}', "line 11: PERIOD.weekdays[1]: "),
    ],
)  # fmt: skip
def test_a_mistake_in_json(was, becomes, detail):
    assert was in JSON
    assert refusal(JSON.replace(was, becomes), "t.json").startswith(
        f"t.json: {detail}".replace("PERIOD", "$.versions[0].periods[1]")
    )


def test_what_is_no_tariff_at_all():
    assert refusal("[]", "t.json") == "t.json: line 1: $: expected `object`, got []"
    assert refusal("", "t.toml").startswith("t.toml: line 1: $: the required field id is missing")
    assert refusal(b'id = "a"\nname = "\xff"', "t.toml") == "t.toml: line 2: $: not UTF-8 (byte 0xff)"
    assert refusal("{}", "t.yaml") == "t.yaml: expected a file that ends in .toml or .json"
    assert refusal(b" " * 1_000_001, "t.json") == "t.json: larger than 1000000 bytes"


@pytest.mark.parametrize("name", TARIFFS)
def test_the_tariffs_that_ship_are_sound(name):
    tariff = read_tariff(tariff_file(name).read_bytes(), f"{name}.toml")
    assert tariff.id == name
    assert {type(band.price) for band in tariff.versions[0].bands()} == {Decimal}


@UNHURRIED
@given(noise=st.text(max_size=40), at=st.integers(0, len(TOML)), suffix=st.sampled_from(["toml", "json"]))
def test_noise_is_refused_with_a_line_or_read_but_never_crashes(noise, at, suffix):
    text = TOML if suffix == "toml" else JSON
    data = (text[:at] + noise + text[at:]).encode(errors="replace")
    try:
        said = "" if read_tariff(data, f"t.{suffix}") else "nothing"
    except Refused as refused:
        said = refused.detail
    assert not said or said.startswith(f"t.{suffix}: line ")
