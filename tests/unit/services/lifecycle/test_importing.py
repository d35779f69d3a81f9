"""Device files: every fault is told with its line and field, and what spreadsheets do is forgiven."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.services.lifecycle import importing
from ringmain.services.lifecycle.importing import PROBLEMS_MAX, ImportRefused, Problems, Row, read_rows


def told(text: str) -> list[tuple[int, str, str]]:
    problems = Problems()
    list(read_rows(text, problems))
    return [(it.line, it.field, it.problem) for it in problems.told]


def rows(text: str) -> list[Row]:
    problems = Problems()
    found = list(read_rows(text, problems))
    problems.refuse()
    return found


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        ("", 1, "header", "first line must name the columns"),
        ("\n\r\n", 1, "header", "first line must name the columns"),
        ("id\nx\n", 1, "header", "lacks the column profile"),
        ("profile,token\nx,y\n", 1, "header", "lacks the column id"),
        ("id,profile,Token\nx,p,t\n", 1, "header", "'Token'"),
        ("id,profile,location\nx,p,t\n", 1, "header", "'location'"),
        ("id,profile,id\nx,p,t\n", 1, "header", "id twice"),
        ("id;profile\nx;p\n", 1, "header", "'id;profile'"),
        ("id,profile\nx\n", 2, "line", "1 cells fewer"),
        ("id,profile\nx,p,t,u\n", 2, "line", "2 cells more"),
        ("id,profile\n,p\n", 2, "id", "no name"),
        ("id,profile\nx y,p\n", 2, "id", "'x y'"),
        ("id,profile\n x,p\n", 2, "id", "' x'"),
        ("id,profile\na/b,p\n", 2, "id", "'a/b'"),
        ("id,profile\n" + "x" * 65 + ",p\n", 2, "id", "1-64"),
        ("id,profile\nx,\n", 2, "profile", "no name"),
        ("id,profile\nx,p#\n", 2, "profile", "'p#'"),
        ("id,profile,token\nx,p,a\tb\n", 2, "token", "printable"),
        ("id,profile,token\nx,p," + "t" * 257 + "\n", 2, "token", "1-256"),
        ("id,profile\nx,p\n\ny,p\nx,q\n", 5, "id", "line 2"),
        ("id,profile\nx,p\nx,p\n", 3, "id", "line 2"),
        ("id,profile,token\nx,p,t\ny,p,t\n", 3, "token", "line 2"),
        ('id,profile\nx,"p\n', 2, "line", "not CSV"),
        ('id,profile\nx,"p"q\n', 2, "line", "not CSV"),
        ("id,profile\nx,p\0\n", 2, "profile", "no name"),
        ('id,profile\n"x\ny",p\n', 2, "id", "no name"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_field(text, line, field, words):
    ((told_line, told_field, problem),) = told(text)
    assert (told_line, told_field) == (line, field)
    assert words in problem


def test_no_token_stands_in_any_problem():
    secret = "s3cr3t-" * 40
    for text in (f"id,profile,token\nx,p,{secret}\n", f"id,profile,token\nx,p,{secret[:99]}\ny,p,{secret[:99]}\n"):
        assert "s3cr3t" not in str(told(text))


def test_all_problems_are_told_up_to_the_limit_and_counted_beyond():
    problems = Problems()
    list(read_rows("id,profile\n" + "bad id,p\n" * 250, problems))
    assert len(problems.told) == PROBLEMS_MAX
    assert problems.count == 250
    with pytest.raises(ImportRefused) as refused:
        problems.refuse()
    assert refused.value.code == "unprocessable"
    assert "line 2, id" in refused.value.detail
    assert "247 more" in refused.value.detail
    assert refused.value.count == 250
    assert refused.value.problems[-1].line == PROBLEMS_MAX + 1


def test_a_file_with_too_many_devices_is_refused(monkeypatch):
    monkeypatch.setattr(importing, "ROWS_MAX", 3)
    assert told("id,profile\na,p\nb,p\nc,p\n") == []
    ((line, field, problem),) = told("id,profile\na,p\nb,p\nc,p\nd,p\n")
    assert (line, field) == (5, "line")
    assert "split" in problem


@pytest.mark.parametrize(
    "text",
    [
        "id,profile,token\nx,p,t\ny,p,\n",
        "\ufeffid,profile,token\r\nx,p,t\r\ny,p,\r\n",
        "token,id,profile\nt,x,p\n,y,p",
        '"id","profile","token"\n"x","p","t"\n\n"y","p",""\n',
    ],
)
def test_what_spreadsheets_write_is_read(text):
    assert [(row.id, row.profile, row.token) for row in rows(text)] == [("x", "p", "t"), ("y", "p", None)]


def test_a_file_without_the_token_column_or_without_devices_is_fine():
    assert rows("id,profile\nx,p\n") == [Row(2, "x", "p", None)]
    assert rows("id,profile\n") == []


def test_tokens_are_taken_as_they_are():
    (row,) = rows('id,profile,token\nx,p," a ""b"", c "\n')
    assert row.token == ' a "b", c '


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,63}", fullmatch=True)
tokens = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=256).filter(str.isprintable)


@given(st.dictionaries(names, st.tuples(names, tokens), max_size=8))
def test_what_csv_writes_comes_back(devices):
    held = {token for _, token in devices.values()}
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "profile", "token"])
    writer.writerows([id, profile, token] for id, (profile, token) in devices.items())
    if len(held) == len(devices):
        assert {row.id: (row.profile, row.token) for row in rows(text.getvalue())} == devices
    else:
        assert {field for _, field, _ in told(text.getvalue())} == {"token"}


@given(st.text())
def test_no_text_whatever_makes_it_fall(text):
    told(text)
    told("id,profile,token\n" + text)
