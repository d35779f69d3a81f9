"""Problems: what a refusal looks like on the wire."""

import msgspec
import pytest

from ringmain.apps.server.api.kit.problems import LineError, Problem, Rejected, answer, place_of, problem_of
from ringmain.model.errors import ERRORS, Failed, Refused


class Inner(msgspec.Struct):
    price: int


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    periods: list[Inner]
    named: dict[str, int] = {}


@pytest.mark.parametrize(
    ("body", "what", "path"),
    [
        (b'{"periods": [{"price": 1}, {"price": "x"}]}', "Expected `int`, got `str`", "$.periods[1].price"),
        (b"[]", "Expected `object`, got `array`", "$"),
        (b'{"periods": [], "x": 1}', "Object contains unknown field `x`", "$"),
        (b'{"periods": [], "named": {"a": "b"}}', "Expected `int`, got `str`", "$.named[...]"),
        (b'{"periods": [{}]}', "Object missing required field `price`", "$.periods[0]"),
    ],
)
def test_the_place_of_an_error_is_its_json_path(body, what, path):
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.decode(body, type=Outer)
    assert place_of(error.value) == (what, path)


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_row_of_the_error_table_has_its_problem(code):
    problem = problem_of(Refused(code, "It was refused.", "Do else."), "r1")
    assert problem.type == f"urn:ringmain:problem:{code}"
    assert problem.status == ERRORS[code].http_status
    assert (problem.detail, problem.hint, problem.request_id) == ("It was refused.", "Do else.", "r1")


def test_what_utf_8_cannot_carry_is_replaced():
    problem = problem_of(Rejected("not_found", "\ud800", "\ud800", path="\ud800", parameter="\ud800"), "r1")
    assert (problem.detail, problem.hint, problem.path, problem.parameter) == ("?",) * 4


def test_on_the_wire_it_is_problem_json_without_empty_members():
    response = answer(problem_of(Failed("storage_full", "No room."), "r1"), {"x-test": "1"})
    assert response.status_code == 507
    assert response.media_type == response.headers["content-type"] == "application/problem+json"
    assert (response.headers["cache-control"], response.headers["x-test"]) == ("no-store", "1")
    members = msgspec.json.decode(response.body)
    assert set(members) == {"type", "title", "status", "detail", "request_id"}
    assert msgspec.convert(members, Problem).status == 507


def test_faults_of_one_file_are_all_told():
    errors = (LineError(1, "header", "lacks the column id"), LineError(2, "token", "is in use"))
    members = msgspec.json.decode(answer(problem_of(Rejected("unprocessable", "No.", errors=errors), "r1"), {}).body)
    assert members["errors"][1] == {"line": 2, "field": "token", "problem": "is in use"}
