"""What is live, what is backlog, and what nobody may touch."""

from ringmain.model.ids import Offset
from ringmain.services.forwarding.lanes import Lanes


def test_everything_before_a_connection_is_backlog():
    lanes = Lanes()
    lanes.take([Offset(3)])
    lanes.connected(Offset(7))
    assert (lanes.border, lanes.live_sent, lanes.raw_sent, lanes.sealed_sent) == (7, 7, 0, 0)
    assert lanes.is_free(Offset(3)), "what was in flight on the old connection has to go again"
    assert lanes.in_flight == 0


def test_what_is_on_its_way_is_not_taken_twice():
    lanes = Lanes()
    lanes.take([Offset(1), Offset(2)])
    assert not lanes.is_free(Offset(1))
    lanes.land([Offset(1)], settled=True)
    assert lanes.is_free(Offset(1))
    assert not lanes.is_free(Offset(2))
    assert lanes.in_flight == 1


def test_a_pass_that_left_something_behind_is_repeated():
    lanes = Lanes()
    lanes.restart()
    lanes.land([Offset(1)], settled=True)
    assert not lanes.again
    lanes.land([Offset(2)], settled=False)
    assert lanes.again
    lanes.restart()
    assert not lanes.again


def test_a_live_row_that_failed_becomes_backlog_and_the_border_never_goes_back():
    lanes = Lanes()
    lanes.connected(Offset(10))
    lanes.fall_back(Offset(15))
    assert lanes.border == 15
    lanes.fall_back(Offset(12))
    assert lanes.border == 15


def test_a_border_that_moves_leaves_something_behind():
    lanes = Lanes()
    lanes.restart()
    lanes.move_border(Offset(20))
    assert (lanes.border, lanes.live_sent) == (20, 20)
    assert lanes.again
