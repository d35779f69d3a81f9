"""docs/tariffs.md says what the code does: its examples are read, its fields and its refusal are the code's own."""

import re
from pathlib import Path

import pytest

from ringmain.metering.tariff_file import read_tariff
from ringmain.metering.tariffs import Tariff, TariffPeriod, TariffVersion
from ringmain.model.errors import Refused

PAGE = (Path(__file__).parents[3] / "docs" / "tariffs.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_are_tariffs():
    assert [read_tariff(example.encode(), "example.toml").id for example in EXAMPLES] == ["lcl-flat", "evenings"]


def test_every_field_is_described_and_no_other():
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    fields = {
        *Tariff.__struct_encode_fields__,
        *(f"versions[].{name}" for name in TariffVersion.__struct_encode_fields__),
        *(f"periods[].{name}" for name in TariffPeriod.__struct_encode_fields__),
    }
    assert described == fields


def test_the_refusal_is_what_the_code_says():
    (shown,) = re.findall(r"```text\n(.*)\n```", PAGE)
    text = 'id = "t"\nname = "T"\ncurrency = "GBP"\n[[versions]]\nvalid_from = 2013-01-01\n[[versions.periods]]\n'
    text += 'name = "Day"\nprice = 1\n\n[[versions.periods]]\nname = "Night"\nprice = "abc"\n'
    with pytest.raises(Refused) as refused:
        read_tariff(text.encode(), "tariff.toml")
    assert refused.value.detail == shown
