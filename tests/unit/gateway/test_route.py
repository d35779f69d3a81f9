"""Routes: nothing outside a device's own tree, for no spelling of a topic."""

import pytest

from ringmain.gateway.route import GATEWAY_NOTICES, NOTICES, Purpose, grants, route
from ringmain.gateway.translate.forms import UNSAID, Form, Spelling
from ringmain.model.device import EDGE_PROFILE, GENERIC_PROFILE, Device, LifecycleState, Principal, Profile

M1 = Principal(Device(1, "acme", "m1", "generic", LifecycleState.ACTIVE, "main", 0, 0), GENERIC_PROFILE)


@pytest.mark.parametrize(
    ("topic", "reason"),
    [("devices/m2/telemetry", "foreign_device"), ("devices/M1/telemetry", "foreign_device"),
     ("devices//telemetry", "foreign_device"),
     ("devices/m2/status", "foreign_device"), ("devices/m2/x", "foreign_device"),
     ("devices/m1/errors", "unknown_topic"), ("devices/m1", "unknown_topic"),
     ("devices/m1/telemetry/", "unknown_topic"),
     ("/devices/m1/telemetry", "unknown_topic"), ("acme/devices/m1/telemetry", "unknown_topic"),
     ("Telemetry", "unknown_topic"), ("telemetry/", "unknown_topic"), ("v1/devices/m1/telemetry", "unknown_topic"),
     ("errors", "unknown_topic"), (" telemetry", "unknown_topic"), ("$SYS/x", "unknown_topic")],
)  # fmt: skip
def test_rejected(topic, reason):
    found = route(M1, topic.encode())
    assert (found.purpose, found.reason, found.topic) == (Purpose.REJECT, reason, topic)


@pytest.mark.parametrize("topic", ["telemetry", "v1/devices/me/telemetry", "devices/m1/telemetry"])
def test_telemetry(topic):
    assert route(M1, topic.encode()).purpose is Purpose.TELEMETRY


@pytest.mark.parametrize("prefix", ["", "devices/m1/"])
@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("telemetry", UNSAID),
        ("telemetry/senml", Spelling(Form.SENML)),
        ("telemetry/msgpack", Spelling(Form.MSGPACK)),
        ("telemetry/value/power_w", Spelling(Form.VALUE, "power_w")),
    ],
)
def test_telemetry_in_a_form(prefix, name, spelling):
    found = route(M1, f"{prefix}{name}".encode())
    assert (found.purpose, found.spelling) == (Purpose.TELEMETRY, spelling)


@pytest.mark.parametrize(
    ("topic", "reason"),
    [("devices/m2/telemetry/senml", "foreign_device"), ("devices/m2/telemetry/value/a", "foreign_device"),
     ("telemetry/value", "unknown_topic"), ("devices/m1/telemetry/x", "unknown_topic"),
     ("v1/devices/me/telemetry/senml", "unknown_topic")],
)  # fmt: skip
def test_forms_stay_in_the_own_tree(topic, reason):
    assert route(M1, topic.encode()).reason == reason


@pytest.mark.parametrize("topic", ["status", "devices/m1/status"])
def test_status(topic):
    assert route(M1, topic.encode()).purpose is Purpose.STATUS


@pytest.mark.parametrize(
    "pattern",
    ["#", "+", "+/+/+", "+/m1/#", "devices/#", "devices/+/errors", "devices/m2/#", "devices/m1", "devices/m1/telemetry",
     "devices/m1/errors/+", "devices/m1/+/errors", "telemetry", "", "errors/#", "$share/g/errors"],
)  # fmt: skip
def test_not_granted(pattern):
    assert grants(M1.device, pattern) == ()


@pytest.mark.parametrize("pattern", ["devices/m1/#", "devices/m1/+", "devices/m1/+/#"])
def test_its_whole_tree(pattern):
    assert grants(M1.device, pattern) == NOTICES


@pytest.mark.parametrize("notice", NOTICES)
def test_one_notice(notice):
    for pattern in (notice, f"devices/m1/{notice}", f"devices/m1/{notice}/#"):
        assert grants(M1.device, pattern) == (notice,)


class TestDecoders:
    T1 = Principal(M1.device, Profile("tasmota", decoder="tasmota"))

    @staticmethod
    def takes(decoder, topic):
        return (decoder, topic.split("/")[0]) in {("tasmota", "tele"), ("tasmota", "devices"), ("tasmota", "status")}

    def test_topics_of_the_decoder_that_the_profile_names(self):
        assert route(self.T1, b"tele/x/SENSOR", self.takes).purpose is Purpose.DECODED
        assert route(self.T1, b"stat/x/SENSOR", self.takes).reason == "unknown_topic"
        assert route(M1, b"tele/x/SENSOR", self.takes).reason == "unknown_topic"
        assert route(self.T1, b"tele/x/SENSOR").reason == "unknown_topic"

    @pytest.mark.parametrize(
        ("topic", "purpose"),
        [("devices/m2/telemetry", Purpose.REJECT), ("status", Purpose.STATUS), ("telemetry", Purpose.TELEMETRY),
         ("devices/m1/status", Purpose.STATUS), ("chunks", Purpose.REJECT)],
    )  # fmt: skip
    def test_our_own_tree_comes_first(self, topic, purpose):
        assert route(self.T1, topic.encode(), self.takes).purpose is purpose


class TestGateways:
    GW = Principal(Device(2, "acme", "gw", "gateway", LifecycleState.ACTIVE, "main", 0, 0), EDGE_PROFILE)

    @pytest.mark.parametrize("topic", ["chunks", "report", "devices/m1/chunks", "devices/m1/report"])
    def test_no_other_device_may_speak_as_one(self, topic):
        assert route(M1, topic.encode()).reason == "not_authorized"

    @pytest.mark.parametrize("topic", ["devices/m1/chunks", "devices/m1/report", "devices/m1/telemetry"])
    def test_nor_may_one_speak_in_the_tree_of_another_device(self, topic):
        assert route(self.GW, topic.encode()).reason == "foreign_device"

    @pytest.mark.parametrize("topic", ["Chunks", "chunks/", "devices/gw/chunks/", "v1/devices/me/chunks", "settings"])
    def test_what_is_nearly_a_topic(self, topic):
        assert route(self.GW, topic.encode()).reason == "unknown_topic"

    @pytest.mark.parametrize("prefix", ["", "devices/gw/"])
    def test_purposes(self, prefix):
        assert route(self.GW, f"{prefix}chunks".encode()).purpose is Purpose.CHUNKS
        assert route(self.GW, f"{prefix}report".encode()).purpose is Purpose.REPORT
        assert route(self.GW, f"{prefix}telemetry".encode()).purpose is Purpose.TELEMETRY

    @pytest.mark.parametrize("notice", GATEWAY_NOTICES)
    def test_what_goes_down_is_for_gateways_alone(self, notice):
        for pattern in (notice, f"devices/gw/{notice}"):
            assert grants(self.GW.device, pattern) == (notice,)
            assert grants(M1.device, pattern) == ()
        assert grants(M1.device, f"devices/m1/{notice}") == ()
        assert notice in grants(self.GW.device, "devices/gw/#")
