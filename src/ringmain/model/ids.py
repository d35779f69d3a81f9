"""Identifiers, and the one rule for what a name may look like.

A device id is unique within its tenant and is never reused. `DeviceKey` is the registry's own integer for
one (tenant, device) pair: unique over all tenants, never reused either, so that a key alone implies its tenant.
"""

import re
from typing import NewType

TenantId = NewType("TenantId", str)
DeviceId = NewType("DeviceId", str)
DeviceKey = NewType("DeviceKey", int)
ProfileName = NewType("ProfileName", str)
Offset = NewType("Offset", int)
"""A position in the ingest log; 0 stands before the first entry."""

DEFAULT_TENANT = TenantId("default")

NAME_LENGTH_MAX = 64
"""Ids end up in topics and URLs; 64 octets keep a whole topic below the 256 the gateway accepts."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,63}\Z")
_CHANNEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/ -]{0,63}\Z")


def is_name(text: str) -> bool:
    """Whether `text` may name a tenant, device, profile, account or tariff: 1-64 of `A-Za-z0-9._:@~-`,
    starting with a letter or digit. `/`, `+` and `#` are left out because MQTT topics give them a meaning.
    """
    return _NAME.match(text) is not None


def is_channel(text: str) -> bool:
    """Whether `text` may name a channel of a device: 1-64 characters, starting with a letter or `_`."""
    return _CHANNEL.match(text) is not None
