"""Positions: the line of every path, in documents written in every way the two formats allow."""

import json
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.metering.positions import DuplicateMember, json_lines, line_of, toml_lines

UNHURRIED = settings(deadline=None)  # a busy machine is not a failure

JSON = """{
  "a": 1, "b": [
    {"c": "x \\" ] }", "d": null},
    [],

    {"c": [true, -1.5e3]}
  ],
  "": {}
}"""

TOML = '''# a comment = 1
id = "x"   # another
"quoted key" = 'it''s'
a.b . c = 3
many = [ # with comments
  1,
  [2, 3],
  { x = "}", y.z = 4 }, # ]
]
text = """
line = 1
\\""" """
raw = \'\'\'
[no.table]
\'\'\'

[[versions]]
when = 2012-01-01

[[versions.periods]]
price = 1
[[versions.periods]]
price = 2
  [versions.periods.more]
  x = 1

[[versions]]
  [[versions.periods]]
  price = 3
[last."dotted.name"]
end = {}
'''


def test_json():
    assert json.loads(JSON)["b"][2]["c"][1] == -1500
    assert json_lines(JSON) == {
        "$": 1, "$.a": 2, "$.b": 2, "$.b[0]": 3, "$.b[0].c": 3, "$.b[0].d": 3, "$.b[1]": 4, "$.b[2]": 6, "$.b[2].c": 6,
        "$.b[2].c[0]": 6, "$.b[2].c[1]": 6, "$.": 8,
    }  # fmt: skip


def test_a_member_given_twice_is_found_on_its_second_line():
    with pytest.raises(DuplicateMember) as found:
        json_lines('{"a": 1,\n "b": {"a": 2},\n "a": 3}')
    assert (found.value.path, found.value.line) == ("$.a", 3)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_toml(newline):
    text = TOML.replace("''s", "").replace("\n", newline)
    tomllib.loads(text)
    lines = toml_lines(text)
    expected = {
        "$.id": 2, "$.quoted key": 3, "$.a": 4, "$.a.b.c": 4, "$.many": 5, "$.many[0]": 6, "$.many[1][1]": 7,
        "$.many[2].x": 8, "$.many[2].y.z": 8, "$.text": 10, "$.raw": 13, "$.versions[0]": 17, "$.versions[0].when": 18,
        "$.versions[0].periods[0].price": 21, "$.versions[0].periods[1]": 22, "$.versions[0].periods[1].price": 23,
        "$.versions[0].periods[1].more.x": 25, "$.versions[1]": 27, "$.versions[1].periods[0].price": 29,
        "$.last.dotted.name.end": 31,
    }  # fmt: skip
    assert {path: lines.get(path) for path in expected} == expected


def test_a_path_that_is_not_there_has_the_line_of_what_is_around_it():
    lines = {"$": 1, "$.a": 4, "$.a[1]": 6}
    assert [line_of(lines, path) for path in ("$.a[1].b.c", "$.a[2]", "$.b", "$")] == [6, 4, 1, 1]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def paths_of(value, path):
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths_of(inner, f"{path}.{name}")
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths_of(inner, f"{path}[{index}]")


@UNHURRIED
@given(value=VALUES, indent=st.sampled_from([None, 0, 2]))
def test_every_path_of_any_json_text_has_a_line_in_ascending_order(value, indent):
    paths = list(paths_of(value, "$"))
    if len(set(paths)) == len(paths):  # a name with a dot can look like a path of two steps
        lines = json_lines(json.dumps(value, indent=indent))
        assert set(lines) == set(paths)
        assert [lines[path] for path in paths] == sorted(lines.values())
