"""Files of decoders: strict, lazily read, and the operator's before the built-in one."""

import subprocess
import sys

import pytest

from ringmain.gateway.translate.decoder_files import FILE_BYTES_MAX, Decoders, decoder_of
from ringmain.gateway.translate.decoder_paths import DecoderError

GOOD = """
decoder: mine
about: a device of our own
topics:
  - {filter: mine/+/power, value: {channel: "power_{1}_w", words: {on: 1, no: 0}}}
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "mine.yaml").write_text(GOOD)
    return tmp_path


def test_what_is_shipped_is_sound():
    decoders = Decoders()
    decoders.check()
    assert decoders.names() == ["chirpstack-v4", "shelly-gen1", "shelly-gen2", "tasmota", "zigbee2mqtt"]
    assert [name for name in decoders.names() if decoders.named(name).speaks] == ["chirpstack-v4", "zigbee2mqtt"]


@pytest.mark.slow
def test_nothing_is_read_before_it_is_asked_for():
    code = (
        "import sys, ringmain.gateway.pipeline, ringmain.gateway.translate.decoded\n"
        "assert not {'yaml', 'cbor2', 'numpy'} & set(sys.modules)\n"
        "from ringmain.gateway.translate.decoder_files import Decoders\n"
        "assert Decoders('nowhere')._known == {}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ones_own(own):
    decoders = Decoders(str(own))
    decoders.check()
    assert "mine" in decoders.names()
    assert decoders.takes("mine", "mine/3/power")
    assert not decoders.takes("mine", "mine/3/energy")
    assert decoders.named("mine").read("mine/3/power", b"on").sample.values == {"power_3_w": 1}
    assert decoders.named("mine") is decoders.named("mine")


def test_ones_own_goes_before_a_built_in_one(own):
    (own / "tasmota.yaml").write_text(GOOD.replace("decoder: mine", "decoder: tasmota"))
    assert Decoders(str(own)).takes("tasmota", "mine/1/power")
    assert not Decoders(str(own)).takes("tasmota", "tele/x/SENSOR")


@pytest.mark.parametrize("name", ["", "nobody", "../mine", "/etc/passwd", "a/b", "mine.yaml", ".", "a" * 100])
def test_there_is_none_of_that_name(own, name):
    decoders = Decoders(str(own))
    assert decoders.named(name) is None
    assert not decoders.takes(name, "mine/1/power")


def test_one_that_can_not_be_used_takes_nothing_and_is_logged_once(own, caplog):
    (own / "mine.yaml").write_text(GOOD + "surprise: 1\n")
    decoders = Decoders(str(own))
    assert [decoders.takes("mine", "mine/1/power") for _ in range(3)] == [False] * 3
    assert len(caplog.records) == 1
    assert "surprise" in caplog.text
    with pytest.raises(DecoderError, match="surprise"):
        decoders.check()


def test_a_directory_that_is_not_there():
    with pytest.raises(DecoderError, match="no such directory"):
        Decoders("/nowhere/at/all").check()
    assert Decoders("/nowhere/at/all").named("tasmota")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "mine.yaml: Expected `object`"),
        ("[", "mine.yaml: "),
        ("a: &a [*a]", "mine.yaml: "),
        ("\x00", "mine.yaml: "),
        (GOOD.replace("about", "abuot"), "abuot"),
        (GOOD.replace("filter", "filtre"), "filtre` - at `$.topics[0]`"),
        (GOOD.replace("channel", "chanel"), "$.topics[0].value"),
        (GOOD.replace('"power_{1}_w"', "7"), "Expected `str`, got `int` - at `$.topics[0].value.channel`"),
        (GOOD.replace("{1}", "{5}"), "$.topics[0]: 'power_{5}_w'"),
        (GOOD.replace("decoder: mine", "decoder: yours"), "$.decoder"),
        (GOOD.replace("on: 1", "on: yes"), "$.topics[0].value.words"),
        (GOOD.replace("no: 0", "on: 0"), "'on' stands twice"),
        (GOOD.replace("topics:", "topics: []\nwords:"), "$.topics"),
        (GOOD.replace("mine/+/power", "devices/+/x"), "is ours"),
        (GOOD + "# " + "x" * FILE_BYTES_MAX, "longer than"),
        (GOOD.replace("a device of our own", "!!python/object/apply:os.getcwd []"), "mine.yaml"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, words):
    with pytest.raises(DecoderError) as refused:
        decoder_of(text.encode(), "mine", "mine.yaml")
    assert words in str(refused.value)


def test_what_is_no_text():
    with pytest.raises(DecoderError):
        decoder_of(b"\xff\xfe\xfa", "mine", "mine.yaml")
