"""Books: what is counted, once, and nothing that is nobody's fault counted as one."""

import re

import pytest

from ringmain.apps.observe import new_metrics
from ringmain.apps.server.books import Books
from ringmain.gateway.connections import Connections
from ringmain.gateway.intake import Committed
from ringmain.model.batch import FORMAT, Batch, block_of
from ringmain.model.session import SessionState
from ringmain.ports.timeseries import Appended
from ringmain.protocols.mqtt.events import Closed
from ringmain.protocols.mqtt.reasons import Reason


class Counted:
    def __init__(self):
        self.metrics = new_metrics()
        self.books = Books(self.metrics)

    def __call__(self, name):
        """Label values and value of every series of one metric that is not zero."""
        pattern = re.compile(rf"^ringmain_{name}(?:_total)?(?:{{(.*)}})? (\S+)$", re.MULTILINE)
        lines = pattern.findall(self.metrics.render().decode())
        return {",".join(re.findall('"(.*?)"', labels)): float(value) for labels, value in lines if float(value)}


@pytest.fixture
def counted():
    return Counted()


@pytest.mark.parametrize(
    ("reason", "by_peer", "expected"),
    [
        (Reason.MALFORMED_PACKET, False, {"malformed_packet": 1}),
        (Reason.RECEIVE_MAXIMUM_EXCEEDED, False, {"receive_maximum_exceeded": 1}),
        (Reason.QUOTA_EXCEEDED, False, {"quota_exceeded": 1}),
        (Reason.SUCCESS, True, {}),
        (Reason.UNSPECIFIED, True, {}),
        (Reason.KEEP_ALIVE_TIMEOUT, False, {}),
        (Reason.SESSION_TAKEN_OVER, False, {}),
        (Reason.SERVER_SHUTTING_DOWN, False, {}),
        (Reason.BAD_USER_NAME_OR_PASSWORD, False, {}),
        (Reason.NOT_AUTHORIZED, False, {}),
        (Reason.SERVER_UNAVAILABLE, False, {}),
    ],
)
def test_only_what_breaks_the_standard_is_malformed(counted, reason, by_peer, expected):
    counted.books.closed(Closed(reason, "x", by_peer=by_peer, publish_will=False))
    assert counted("packets_malformed") == expected


def test_an_append_by_its_outcomes(counted):
    counted.books.appended(
        Appended(5, received=20, stored=10, duplicates=4, conflicts=3, quarantined=3, rejected=2, dead_letters=1)
    )
    assert counted("readings") == {"stored": 10, "duplicate": 4, "conflict": 3, "quarantined": 3, "rejected": 2}
    assert counted("dead_letters") == {"": 1}


def test_what_was_dropped_is_counted_too(counted):
    counted.books.dropped(7)
    assert counted("readings") == {"dropped": 7}


def test_a_commit(counted):
    batch = Batch(FORMAT, 0, (block_of(("a", "b"), [1, 1], [1, 2], [1.0] * 4, exact=False),))
    counted.books.committed(Committed(batch, 2, 0.003))
    assert counted("commits") == {"": 1}
    assert counted("commit_readings_sum") == {"": 4}


def test_messages_received_are_added_once(counted):
    class Sessions:
        def counts(self):
            return {SessionState.ONLINE: 3}

    for _ in range(3):
        counted.books.received("mqtt", 5)
    counted.books.received("http", 1)
    for _ in range(2):
        counted.books.look(Connections(), Sessions(), 100, 1000, 50, 44)
    assert counted("messages_received") == {"mqtt": 15, "http": 1}
    assert counted("sessions") == {"online": 3}
    assert counted("log_bytes") == {"": 100}
    assert counted("ingest_lag_entries") == {"": 6}


def test_refusals_by_code(counted):
    counted.books.refused("bad_credentials")
    counted.books.refused("device_suspended")
    counted.books.refused("bad_credentials")
    assert counted("auth_refusals") == {"bad_credentials": 2, "device_suspended": 1}
