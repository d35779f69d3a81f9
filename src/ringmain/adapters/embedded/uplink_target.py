"""Where an uplink goes, and as whom."""

import ssl

import msgspec

from ringmain.protocols.mqtt.client_events import ClientSettings


class Target(msgspec.Struct, frozen=True):
    """Where the platform is and who we are there. `tls` is None on a link that needs none (tests, simulation)."""

    host: str
    port: int
    client: ClientSettings
    tls: ssl.SSLContext | None = None
