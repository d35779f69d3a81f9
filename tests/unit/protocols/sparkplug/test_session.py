"""A node's session: births, aliases, sequence, deaths; and every pair of the table by messages alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.sparkplug import session as module
from ringmain.protocols.sparkplug.metric import Metric, Payload
from ringmain.protocols.sparkplug.node import NODE, NodeEvent, NodeState
from ringmain.protocols.sparkplug.session import Session
from ringmain.protocols.sparkplug.topics import MessageType, Topic
from ringmain.protocols.sparkplug.values import DataType, metric_of
from ringmain.protocols.sparkplug.wire import SparkplugError

BIRTH, NEXT, GAP, UNDECLARED, DEATH, OLD_DEATH = NodeEvent
UNKNOWN, ALIVE, INCOMPLETE, DEAD = NodeState
INT = DataType.INT32


def bd(number):
    return metric_of("bdSeq", DataType.INT64, number)


def named(name, alias=None, value=1):
    return metric_of(name, INT, value, alias=alias)


def short(alias, value=1):
    return Metric(alias=alias, kind=named("x").kind, value=value)


class Edge:
    """A node that says what the test makes it say."""

    def __init__(self):
        self.session = Session("g")

    def say(self, kind, *metrics, seq=None, device=""):
        topic = Topic("g", MessageType(kind), "n", device)
        return self.session.take(topic, Payload(1, metrics, seq))

    def born(self, *metrics, seq=0, number=0):
        return self.say("NBIRTH", bd(number), *metrics, seq=seq)

    @property
    def state(self):
        return self.session.state


@pytest.fixture
def edge():
    return Edge()


def values(heard):
    return [(declared.device, declared.name, metric.value) for declared, metric in heard.metrics]


def test_a_node_is_born_and_says_things_by_name_and_alias(edge):
    assert values(edge.born(named("a", 1), named("b"))) == [("", "a", 1), ("", "b", 1)]
    assert values(edge.say("DBIRTH", named("a", 2), seq=1, device="d")) == [("d", "a", 1)]
    heard = edge.say("NDATA", short(1, 5), named("b", value=6), named("a", 1, 7), seq=2)
    assert (heard.event, values(heard)) == (NEXT, [("", "a", 5), ("", "b", 6), ("", "a", 7)])
    heard = edge.say("DDATA", short(2, 8), seq=3, device="d")
    assert (heard.event, values(heard), heard.detail) == (NEXT, [("d", "a", 8)], "")
    assert edge.session.declared == 4, "bdSeq is one of them"


def test_bd_seq_and_controls_are_no_metrics(edge):
    heard = edge.born(metric_of("Node Control/Rebirth", DataType.BOOLEAN, False), Metric("Node Control/Reboot", 9))
    assert heard.metrics == ()
    heard = edge.say("NDATA", bd(0), Metric(alias=9), Metric("Node Control/Rebirth"), seq=1)
    assert (heard.event, heard.metrics) == (NEXT, ())


def test_seq_goes_on_from_that_of_the_birth_and_wraps(edge):
    edge.born(named("a"), seq=254)
    for seq in (255, 0, 1):
        assert edge.say("NDATA", named("a"), seq=seq).event is NEXT
    assert edge.state is ALIVE


@pytest.mark.parametrize("seq", [0, 2, 255])
def test_another_seq_is_a_gap_that_only_a_birth_closes(edge, seq):
    edge.born(named("a", 1))
    heard = edge.say("NDATA", named("a", value=5), seq=seq)
    assert (heard.event, values(heard)) == (GAP, [("", "a", 5)]), "a name says itself what it means"
    assert f"seq {seq} came where 1 is the next" in heard.detail
    heard = edge.say("NDATA", short(1), seq=(seq + 1) % 256)
    assert (heard.event, heard.metrics, edge.state) == (UNDECLARED, (), INCOMPLETE)
    assert "a message is missing; no birth in force declares alias 1" in heard.detail
    edge.born(named("a", 1))
    assert edge.say("NDATA", short(1), seq=1).event is NEXT


def test_a_birth_that_was_missed_can_not_give_its_aliases_to_others(edge):
    edge.born(named("a", 1), named("b", 2))
    edge.say("DDEATH", seq=2, device="d")
    assert edge.say("NDATA", short(1), seq=3).metrics == ()


def test_before_a_birth_nothing_is_known(edge):
    heard = edge.say("NDATA", named("a"), seq=0)
    assert (heard.event, heard.metrics, edge.state) == (UNDECLARED, (), UNKNOWN)
    assert "no NBIRTH is known" in heard.detail


def test_a_devices_birth_before_the_nodes_speaks_for_itself_and_is_not_kept(edge):
    heard = edge.say("DBIRTH", named("a", 1), seq=4, device="d")
    assert (heard.event, values(heard), edge.session.declared) == (GAP, [("d", "a", 1)], 0)
    assert edge.say("DDATA", named("a"), seq=5, device="d").event is UNDECLARED


def test_a_devices_birth_in_a_gap_declares_names_and_no_aliases(edge):
    edge.born()
    edge.say("DBIRTH", named("a", 1), seq=7, device="d")
    assert edge.say("DDATA", named("a"), seq=8, device="d").event is GAP
    assert edge.say("DDATA", short(1), seq=9, device="d").event is UNDECLARED


def test_an_undeclared_metric_asks_and_leaves_the_rest_believed(edge):
    edge.born(named("a", 1))
    heard = edge.say("NDATA", named("a"), named("b"), seq=1)
    assert (heard.event, heard.metrics, heard.detail) == (UNDECLARED, (), "no birth in force declares metric 'b'")
    assert edge.say("NDATA", short(1), seq=2).event is NEXT


@pytest.mark.parametrize("metric", [Metric(), Metric(alias=2), Metric(alias=3), Metric(""), Metric("c")])
def test_a_metric_is_looked_for_where_its_topic_says(edge, metric):
    edge.born(named("a", 1))
    edge.say("DBIRTH", named("c", 2), seq=1, device="d")
    assert edge.say("NDATA", metric, seq=2).event is UNDECLARED


def test_a_device_is_born_anew_and_dies(edge):
    edge.born(named("n", 9))
    edge.say("DBIRTH", named("a", 1), named("b", 2), seq=1, device="d")
    edge.say("DBIRTH", named("b", 1), seq=2, device="d")
    assert values(edge.say("DDATA", short(1), seq=3, device="d")) == [("d", "b", 1)]
    assert edge.say("DDATA", named("a"), seq=4, device="d").event is UNDECLARED
    assert edge.say("DDEATH", seq=5, device="d").gone == ("d",)
    assert edge.say("DDATA", named("b"), seq=6, device="d").event is UNDECLARED
    assert edge.say("NDATA", short(9), seq=7).event is NEXT


def test_a_birth_without_metrics_is_one(edge):
    edge.born()
    assert edge.say("DBIRTH", seq=1, device="d").event is NEXT
    assert edge.say("NDEATH", bd(0)).gone == ("d",)


def test_the_nodes_birth_ends_what_was_before(edge):
    edge.born(named("a", 1))
    edge.say("DBIRTH", named("b", 2), seq=1, device="d")
    edge.born(named("c", 2), seq=7, number=1)
    assert edge.session.declared == 2
    assert edge.say("DDATA", named("b"), seq=8, device="d").event is UNDECLARED
    assert values(edge.say("NDATA", short(2), seq=9)) == [("", "c", 1)]


def test_a_death_is_of_its_birth(edge):
    edge.born(named("a", 1), number=4)
    edge.say("DBIRTH", named("b"), seq=1, device="d")
    for number in (3, 5, 0):
        assert edge.say("NDEATH", bd(number)).event is OLD_DEATH
    assert edge.say("NDATA", short(1), seq=2).event is NEXT
    heard = edge.say("NDEATH", bd(4))
    assert (heard.event, heard.gone, edge.state, edge.session.declared) == (DEATH, ("d",), DEAD, 0)
    assert edge.say("NDEATH", bd(4)).gone == ()
    assert edge.say("NDATA", short(1), seq=3).event is UNDECLARED
    assert edge.state is UNKNOWN


@pytest.mark.parametrize(
    ("kind", "metrics", "seq", "device"),
    [
        ("NBIRTH", [bd(0)], None, ""), ("NBIRTH", [bd(0)], 256, ""), ("NBIRTH", [], 0, ""),
        ("NBIRTH", [metric_of("bdSeq", DataType.DOUBLE, 1)], 0, ""), ("NBIRTH", [bd(0), Metric("a")], 0, ""),
        ("NBIRTH", [bd(0), named("a", 1), named("b", 1)], 0, ""),
        ("NDATA", [], None, ""), ("DDEATH", [], None, "d"), ("DBIRTH", [named("b", 1)], 1, "d"),
        ("DBIRTH", [Metric(alias=3)], 1, "d"), ("NDEATH", [], None, ""),
    ],
)  # fmt: skip
def test_what_is_useless_changes_nothing(edge, kind, metrics, seq, device):
    edge.born(named("a", 1))
    with pytest.raises(SparkplugError):
        edge.say(kind, *metrics, seq=seq, device=device)
    assert edge.say("NDATA", short(1), seq=1).event is NEXT


def test_what_could_not_be_read_is_missing(edge):
    edge.session.lost()
    assert edge.state is UNKNOWN
    edge.born(named("a", 1))
    edge.session.lost()
    assert edge.state is INCOMPLETE
    assert edge.say("NDATA", short(1), seq=1).event is UNDECLARED


def test_limits(edge, monkeypatch):
    monkeypatch.setattr(module, "DEVICES_MAX", 2)
    monkeypatch.setattr(module, "DECLARED_MAX", 4)
    edge.born()
    edge.say("DBIRTH", named("a"), seq=1, device="d1")
    edge.say("DBIRTH", seq=2, device="d2")
    with pytest.raises(SparkplugError, match="devices"):
        edge.say("DBIRTH", seq=3, device="d3")
    edge.say("DBIRTH", named("a"), named("b"), seq=3, device="d2")
    with pytest.raises(SparkplugError, match="metrics"):
        edge.say("DBIRTH", named("a"), named("b"), seq=4, device="d1")
    edge.say("DBIRTH", named("b"), seq=4, device="d1")
    assert edge.state is ALIVE


def to(edge, state):
    """A session in that state, whose metric `a` has the alias 1, bdSeq 4, and where 1 is the next seq if it has one."""
    if state is not UNKNOWN:
        edge.born(named("a", 1), number=4)
    if state is INCOMPLETE:
        edge.session.lost()
    if state is DEAD:
        edge.say("NDEATH", bd(4))
    assert edge.state is state


SAYS = {
    BIRTH: lambda edge: edge.born(),
    NEXT: lambda edge: edge.say("NDATA", seq=1),
    GAP: lambda edge: edge.say("NDATA", seq=9),
    UNDECLARED: lambda edge: edge.say("NDATA", named("z"), seq=1),
    DEATH: lambda edge: edge.say("NDEATH", bd(4)),
    OLD_DEATH: lambda edge: edge.say("NDEATH", bd(3)),
}


@pytest.mark.parametrize(("state", "event"), list(NODE))
def test_every_row_of_the_table(edge, state, event):
    to(edge, state)
    assert SAYS[event](edge).event is event
    assert edge.state is NODE[state, event]


STEPS = st.tuples(st.sampled_from(sorted(MessageType)[1:]), st.integers(0, 4), st.integers(0, 2), st.booleans())


@given(st.lists(STEPS, max_size=30))
def test_whatever_is_said_what_is_known_stays_together(steps):
    edge = Edge()
    for kind, seq, number, by_alias in steps:
        if kind in {"NCMD", "DCMD", "STATE"}:
            continue
        metric = short(number) if by_alias else named("ab"[number % 2], number)
        extra = [bd(number)] if kind in {"NBIRTH", "NDEATH"} else []
        device = "d" if kind.startswith("D") else ""
        try:
            heard = edge.say(kind, *extra, metric, seq=seq, device=device)
        except SparkplugError:
            continue
        assert not heard.metrics or heard.event in {BIRTH, NEXT, GAP}
        assert bool(edge.session._aliases) <= (edge.state is ALIVE)
        assert bool(edge.session.declared) == (edge.state in {ALIVE, INCOMPLETE})
        assert all(it.name in edge.session._declared[it.device] for it in edge.session._aliases.values())
