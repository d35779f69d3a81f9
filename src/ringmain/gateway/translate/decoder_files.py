"""Decoders and where they are kept: those that are shipped, and the operator's own in a directory. Read when somebody
asks for one, and never at import.

PyYAML comes with the platform: an edge has no decoders. Words that YAML 1.1 takes for booleans (`on`, `off`, `yes`,
`no`) are words here, as in YAML 1.2, and a key that stands twice is an error.
"""

import logging
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ringmain.gateway.translate.decoder import DecoderFile
from ringmain.gateway.translate.decoder_paths import DecoderError
from ringmain.gateway.translate.decoder_read import Decoder
from ringmain.model.ids import is_name

log = logging.getLogger(__name__)

FILE_BYTES_MAX = 64 * 1024
"""The longest that is shipped has 6 KiB."""

DECODERS_MAX = 256
"""Files in the operator's directory."""

SUFFIX = ".yaml"
_SHIPPED = "ringmain.gateway.translate"
_BOOLEAN = "tag:yaml.org,2002:bool"
_TIME = "tag:yaml.org,2002:timestamp"


class Decoders:
    """Every decoder by its name. The operator's goes before one that is shipped under the same name."""

    def __init__(self, directory: str = "") -> None:
        self._directory = Path(directory).expanduser() if directory else None
        self._known: dict[str, Decoder | None] = {}

    def names(self) -> list[str]:
        """Those there are, in order."""
        shipped = resources.files(_SHIPPED).joinpath("decoders").iterdir()
        found = {entry.name for entry in shipped}
        if self._directory:
            found |= {path.name for path in sorted(self._directory.glob(f"*{SUFFIX}"))[:DECODERS_MAX]}
        return sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))

    def check(self) -> None:
        """Read all of them. DecoderError at the first that can not be used: a platform does not start with it."""
        if self._directory and not self._directory.is_dir():
            raise DecoderError(f"{self._directory}: there is no such directory")
        for name in self.names():
            self._known[name] = self._read(name)

    def named(self, name: str) -> Decoder | None:
        """The decoder of that name; None where there is none, or one that can not be used (that is logged once)."""
        if name not in self._known:
            try:
                decoder = self._read(name) if is_name(name) else None
            except DecoderError as error:
                log.error("%s; what devices of the decoder %s say is refused", error, name)
                decoder = None
            if len(self._known) >= 2 * DECODERS_MAX:  # names of profiles that are no decoders' are remembered too
                self._known.clear()
            self._known[name] = decoder
        return self._known[name]

    def takes(self, name: str, topic: str) -> bool:
        """Whether the decoder of that name has a filter for the topic."""
        decoder = self.named(name)
        return decoder is not None and decoder.takes(topic)

    def _read(self, name: str) -> Decoder | None:
        own = self._directory / f"{name}{SUFFIX}" if self._directory else None
        shipped = resources.files(_SHIPPED).joinpath("decoders", f"{name}{SUFFIX}")
        try:
            if own and own.is_file():
                with own.open("rb") as file:
                    return decoder_of(file.read(FILE_BYTES_MAX + 1), name, str(own))
            return decoder_of(shipped.read_bytes(), name, shipped.name) if shipped.is_file() else None
        except OSError as error:
            raise DecoderError(f"{own or shipped.name}: {error}") from error


def decoder_of(text: bytes, name: str, origin: str) -> Decoder:
    """The decoder that a file holds, which has to be called as the file is. DecoderError with `origin` and the path to
    what is wrong.
    """
    if len(text) > FILE_BYTES_MAX:
        raise DecoderError(f"{origin}: longer than {FILE_BYTES_MAX} bytes")
    try:
        # A safe loader: it makes plain values and nothing else.
        found = yaml.load(text, Loader=_loader())  # noqa: S506
        file = msgspec.convert(found, DecoderFile)
        if file.decoder != name:
            raise DecoderError(f"$.decoder: it is called {file.decoder!r} in a file for {name!r}")
        return Decoder(file)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        # A validation error and a DecoderError are ValueErrors too.
        raise DecoderError(f"{origin}: {error}") from error


def _loader() -> type[yaml.SafeLoader]:
    """YAML 1.2's idea of booleans, no time stamps, and no key twice. In C where the library has it: much faster."""
    base: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag != _TIME and (tag != _BOOLEAN or first in "tTfF")]
        for first, rules in base.yaml_implicit_resolvers.items()
    }
    return type("Loader", (base,), {"yaml_implicit_resolvers": resolvers, "construct_mapping": _mapping})


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - as the library calls it
    keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise DecoderError(f"line {node.start_mark.line + 1}: {twice!r} stands twice")
    return yaml.SafeLoader.construct_mapping(loader, node, deep)
