"""The tables of docs/gateways.md say every key with its default and its bounds, and the page carries all of them."""

from pathlib import Path

import msgspec
import pytest

from ringmain.apps.docs.gateways import TABLES
from ringmain.apps.docs.tables import marked
from ringmain.gateway.translate.bulk_named import REASONS
from ringmain.gateway.translate.gateway_report import REPORT_BYTES_MAX
from ringmain.model.bulk.layout import CHUNK_READINGS_MAX
from ringmain.model.errors import ERRORS
from ringmain.model.gateway import DELEGATIONS_MAX, DropPolicy, GatewayReport, GatewaySettings, SettingsState
from ringmain.services.gateways.documents import SETTINGS_KEPT

PAGE = (Path(__file__).parents[4] / "docs" / "gateways.md").read_text(encoding="utf-8")


def test_the_page_carries_every_table() -> None:
    assert set(marked(PAGE)) == set(TABLES)


def test_every_key_stands_in_a_row_with_its_default() -> None:
    rows = {row.split("`")[1]: row for row in TABLES["gateway-settings"]().splitlines()[2:]}
    assert list(rows) == [field.name for field in msgspec.structs.fields(GatewaySettings)]
    assert "| `20` | 5 to 1,200 |" in rows["keep_alive_s"]
    assert "`reject`, `drop_oldest`, `downsample`" in rows["policy"]
    assert "at most 4 of" in rows["windows"]
    assert all(row.count("|") == 5 and row.rstrip(" |").endswith((".", "below.")) for row in rows.values())


def test_every_word_of_the_model_is_explained() -> None:
    assert all(policy.name in TABLES["drop-policies"]() for policy in DropPolicy)
    assert all(state.name in TABLES["settings-states"]() for state in SettingsState)
    assert TABLES["gateway-report"]().count("`") == 2 * len(GatewayReport.__struct_fields__)


@pytest.mark.parametrize("limit", [DELEGATIONS_MAX, CHUNK_READINGS_MAX, REPORT_BYTES_MAX, SETTINGS_KEPT])
def test_limits_are_on_the_page(limit: int) -> None:
    assert f"{limit:,}" in PAGE


@pytest.mark.parametrize("reason", REASONS[1:])
def test_every_reason_is_on_the_page_and_in_the_table_of_errors(reason: str) -> None:
    assert f"`{reason}`" in PAGE
    assert reason in ERRORS
