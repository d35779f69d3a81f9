"""Logs: how log lines are written. Secrets never reach a line: those known are blotted out wherever they appear, and so
is every bearer token.
"""

import logging
import re
import sys
from collections.abc import Sequence

import msgspec

from ringmain.apps.config import Log
from ringmain.model.time import format_rfc3339

_BLOT = "[secret]"
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}")
_ASSIGNED = re.compile(r"(?i)\b(token|password|secret|pepper)(['\"]?\s*[=:]\s*['\"]?)[^\s'\",;&}]+")
_SECRET_LENGTH_MIN = 8
"""A shorter one would blot out ordinary words."""


class Scrubber:
    """Takes secrets out of text: those it was told of, and whatever stands where a secret stands."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        known = sorted((re.escape(secret) for secret in secrets if len(secret) >= _SECRET_LENGTH_MIN), reverse=True)
        self._known = re.compile("|".join(known)) if known else None

    def __call__(self, text: str) -> str:
        """The text with each secret replaced."""
        if self._known is not None:
            text = self._known.sub(_BLOT, text)
        text = _BEARER.sub(rf"\1 {_BLOT}", text)
        return _ASSIGNED.sub(rf"\1\2{_BLOT}", text)


class ConsoleFormatter(logging.Formatter):
    """One line for people; the traceback of an exception follows on lines of its own."""

    def __init__(self, scrub: Scrubber) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        return self._scrub(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, and exception where there is one."""

    def __init__(self, scrub: Scrubber) -> None:
        super().__init__()
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        line = {
            "time": format_rfc3339(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._scrub(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = self._scrub(self.formatException(record.exc_info))
        return msgspec.json.encode(line).decode()


def configure_logging(log: Log, secrets: Sequence[str] = ()) -> None:
    """Send all logging of this process to standard error, as configured. Called once, by the composition."""
    scrub = Scrubber(secrets)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(scrub) if log.format == "json" else ConsoleFormatter(scrub))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log.level.upper())
    logging.captureWarnings(capture=True)
