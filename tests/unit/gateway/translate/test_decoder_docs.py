"""The page of the decoders says what they do: keys, limits, profiles, and an example that works."""

import re
from pathlib import Path

import msgspec
import pytest

from ringmain.gateway.translate import decoder, decoder_files, decoder_paths, samples
from ringmain.gateway.translate.decoder_files import Decoders, decoder_of
from ringmain.model.device import DECODED_PROFILES

PAGE = (Path(__file__).parents[4] / "docs" / "protocols" / "decoders.md").read_text(encoding="utf-8")


def keys(heading):
    section = PAGE.split(f"### {heading}\n")[1].split("\n#")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


@pytest.mark.parametrize(("heading", "struct"), [("Of a topic", decoder.Topic), ("Of a value", decoder.Field)])
def test_every_key_is_explained(heading, struct):
    assert keys(heading) == {field.name for field in msgspec.structs.fields(struct)}


def test_every_profile_has_its_decoder():
    rows = set(re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \|", PAGE, re.MULTILINE))
    assert rows == {(profile.name, profile.decoder) for profile in DECODED_PROFILES}
    assert {name for _, name in rows} == set(Decoders().names())


def test_the_example_works():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    example = decoder_of(text.encode(), "pulse-counter", "docs")
    (payload,) = re.findall(r"`counter/hall/1` with `(.*?)`", PAGE)
    sample = example.read("counter/hall/1", payload.encode()).sample
    assert (sample.values, sample.at_ms) == ({"energy_1_wh": 47_110, "fault_1": 0}, 1_767_607_200_000)
    assert example.read("counter/hall/alive", b"yes").sample.values == {"alive": 1}


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("a file", decoder_files.FILE_BYTES_MAX),
        ("files of a directory", decoder_files.DECODERS_MAX),
        ("topics of a decoder", decoder.TOPICS_MAX),
        ("fields of a topic", decoder.FIELDS_MAX),
        ("keys of a path, and depth of a payload", decoder_paths.DEPTH_MAX),
        ("values of a payload", decoder_paths.LEAVES_MAX),
        ("channels of a payload", samples.CHANNELS_PER_MESSAGE_MAX),
    ],
)
def test_limits(what, limit):
    (found,) = re.findall(rf"^\| {what} \| ([\d,]+)", PAGE, re.MULTILINE)
    assert int(found.replace(",", "")) == limit
