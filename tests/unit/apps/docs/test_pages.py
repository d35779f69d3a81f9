"""What is generated says what is there; that the checkout carries it is compared in tests/test_house.py."""

from pathlib import Path

import pytest

from ringmain.apps.docs import __main__ as command
from ringmain.apps.docs.pages import decisions, pages

ROOT = Path(__file__).parents[4]


def test_every_page_can_be_written() -> None:
    assert all(write() for write in pages(ROOT).values())


def test_decisions_are_listed_by_number(tmp_path: Path) -> None:
    (tmp_path / "0002-b.md").write_text("# 2. Second\n")
    (tmp_path / "0001-a.md").write_text("# 1. First\n\nText\n")
    (tmp_path / "README.md").write_text("# Index\n")
    assert decisions(tmp_path).endswith("- [1. First](0001-a.md)\n- [2. Second](0002-b.md)\n")


def test_the_command_writes_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "src" / "ringmain" / "model").mkdir(parents=True)
    (tmp_path / "src" / "ringmain" / "apps").mkdir(parents=True)
    (tmp_path / "src" / "ringmain" / "apps" / "one.py").write_text("")
    (tmp_path / "src" / "ringmain" / "model" / "two.py").write_text("")
    (tmp_path / "docs" / "adr").mkdir(parents=True)
    (tmp_path / "docs" / "architecture.md").write_text("a\n<!-- table: errors -->\nold\n<!-- end -->\nz\n")
    (tmp_path / "docs" / "gateways.md").write_text("a\n<!-- table: gateway-settings -->\n<!-- end -->\nz\n")
    (tmp_path / "docs" / "protocols").mkdir()
    (tmp_path / "docs" / "protocols" / "sparkplug.md").write_text("<!-- table: sparkplug-node -->\n<!-- end -->\n")
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.importlinter.contracts]]\ntype = "layers"\nlayers = ["apps", "(planning)", "protocols | model"]\n'
    )
    monkeypatch.setattr("sys.argv", ["docs", str(tmp_path)])
    command.main()
    assert sorted(line.removeprefix("wrote ") for line in capsys.readouterr().out.splitlines()) == sorted(pages(ROOT))
    page = (tmp_path / "docs" / "architecture.md").read_text()
    assert page.startswith("a\n<!-- table: errors -->\n")
    assert "`malformed_packet`" in page
    assert page.endswith("<!-- end -->\nz\n")
    assert "old" not in page
    command.main()
    assert capsys.readouterr().out == "", "the second time nothing differs"


def test_a_directory_that_is_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["docs", str(tmp_path)])
    with pytest.raises(SystemExit, match="is no checkout"):
        command.main()
