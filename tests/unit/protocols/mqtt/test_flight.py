"""Messages of ours on their way: every step of the table, and every one that is none."""

import pytest

from ringmain.protocols.mqtt.events import Delivered, Received
from ringmain.protocols.mqtt.flight import UNKEPT_FROM, Flight, Waiting
from ringmain.protocols.mqtt.packets import PUBACK, PUBCOMP, PUBREC
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason

PUBREL_7 = b"\x62\x02\x00\x07"


def flying(state):
    flight = Flight()
    if state is None:
        return flight
    flight.sent(7, 1 if state is Waiting.PUBACK else 2)
    if state in (Waiting.OWNER, Waiting.PUBCOMP):
        flight.heard(PUBREC, 7, 0, 5)
    if state is Waiting.PUBCOMP:
        flight.release(7, 5)
    return flight


OVER = (Delivered(7), b"")
TABLE = {
    (None, PUBACK): (None, b""),
    (None, PUBREC): (None, PUBREL_7),
    (None, PUBCOMP): (None, b""),
    (Waiting.PUBACK, PUBACK): OVER,
    (Waiting.PUBACK, PUBREC): None,
    (Waiting.PUBACK, PUBCOMP): None,
    (Waiting.PUBREC, PUBACK): None,
    (Waiting.PUBREC, PUBREC): (Received(7), b""),
    (Waiting.PUBREC, PUBCOMP): None,
    (Waiting.OWNER, PUBACK): None,
    (Waiting.OWNER, PUBREC): (None, b""),
    (Waiting.OWNER, PUBCOMP): (None, b""),
    (Waiting.PUBCOMP, PUBACK): None,
    (Waiting.PUBCOMP, PUBREC): (None, PUBREL_7),
    (Waiting.PUBCOMP, PUBCOMP): OVER,
}
"""What is heard where a message stands: the answer, or None for a violation."""


def test_the_table_has_every_step():
    assert set(TABLE) == {(state, kind) for state in (None, *Waiting) for kind in (PUBACK, PUBREC, PUBCOMP)}


@pytest.mark.parametrize(("state", "kind"), TABLE)
def test_every_step(state, kind):
    flight, wanted = flying(state), TABLE[state, kind]
    if wanted is None:
        with pytest.raises(ProtocolViolation) as refused:
            flight.heard(kind, 7, 0, 5)
        assert refused.value.reason is Reason.PROTOCOL_ERROR
        return
    assert flight.heard(kind, 7, 0, 5) == wanted
    assert (7 in flight) is (wanted is not OVER and state is not None)


@pytest.mark.parametrize("state", [None, Waiting.PUBREC, Waiting.OWNER, Waiting.PUBCOMP])
def test_a_pubrec_that_refuses_is_the_end(state):
    flight = flying(state)
    assert flight.heard(PUBREC, 7, 0x97, 5) == (None if state is None else Delivered(7, 0x97), b"")
    assert flight.room == flight.maximum


def test_each_holds_a_place_until_it_is_over():
    flight = Flight()
    flight.maximum = 2
    flight.sent(1, 1)
    flight.sent(2, 2)
    assert flight.room == 0
    flight.heard(PUBREC, 2, 0, 5)
    flight.release(2, 5)
    assert flight.room == 0
    flight.heard(PUBCOMP, 2, 0, 5)
    flight.heard(PUBACK, 1, 0, 5)
    assert flight.room == 2


def test_identifiers_stay_in_their_half_wrap_and_skip_those_in_use():
    flight = Flight()
    flight._next = 65_535
    flight.sent(UNKEPT_FROM, 1)
    assert [flight.identifier() for _ in range(2)] == [65_535, UNKEPT_FROM + 1]
    flight._next = UNKEPT_FROM
    assert flight.identifier() == UNKEPT_FROM + 1
