"""The refusal of a configuration, apart from the loader, so that `ringmain --help` need not load what reads files."""

from ringmain.model.errors import Refused


class ConfigError(Refused):
    """The configuration can not be used. `detail` names the path of the key and where its value came from."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__("invalid_request", detail, hint)
