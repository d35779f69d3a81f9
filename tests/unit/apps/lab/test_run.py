"""What is read before anything is started."""

import pytest

from ringmain.apps.lab.run import rows_of_year
from ringmain.metering.data import sample_household
from ringmain.model.errors import Refused


@pytest.mark.slow
def test_the_years_rows_come_with_their_duplicates():
    rows = rows_of_year(sample_household(), 2013)
    assert len(rows) == 17_532
    assert sum({row.start_ms: row.energy_wh for row in rows}.values()) == 4_214_648


@pytest.mark.slow
def test_a_year_that_the_file_does_not_have_is_refused_with_what_it_has():
    with pytest.raises(Refused, match="no rows in 2015; it covers 2012-10-12 to 2014-01-25; nothing was started"):
        rows_of_year(sample_household(), 2015)


def test_a_file_without_rows_is_refused(tmp_path):
    file = tmp_path / "empty.csv"
    file.write_text("start,value\n")
    with pytest.raises(Refused, match="it has none at all"):
        rows_of_year(file, 2013)


def test_an_error_outside_the_year_is_refused_too(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("start,value\n2013-01-01 00:00:00,1\n2019-01-01 00:00:00,-1\n")
    with pytest.raises(Refused, match="line 3: value"):
        rows_of_year(file, 2013)
