"""Configuration: every key the platform knows, with its type, default, bounds and meaning.

The structs are the only list of keys: `docs/configuration.md`, `ringmain config show` and the loader in
`config_load` are all derived from them. Values are frozen; nothing here reads a file or the environment.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ringmain.apps.config_tls import Tls

PORT = Meta(ge=0, le=65535)


class Storage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the platform keeps everything it must not lose."""

    dir: Annotated[
        str,
        Meta(
            min_length=1,
            description="The data directory. One process owns it at a time; relative to the working directory.",
        ),
    ] = "ringmain-data"
    log_limit_mib: Annotated[
        int,
        Meta(
            ge=16,
            le=1_048_576,
            description="Size at which the ingest log refuses more and the doors stop acknowledging; nothing is"
            " dropped. A reading takes 13 to 24 bytes: 4 GiB are a day at 2,000 to 3,500 readings a second.",
        ),
    ] = 4096
    log_retain_mib: Annotated[
        int,
        Meta(
            ge=0,
            le=1_048_576,
            description="How much of the log is kept after everyone has read it, for replay. Below `log_limit_mib`.",
        ),
    ] = 64
    memory_mib: Annotated[
        int,
        Meta(
            ge=64,
            le=1_048_576,
            description="Memory the time-series store may use before it spills to disk. DuckDB alone would take 80 %"
            " of the machine.",
        ),
    ] = 256
    synchronous: Annotated[
        Literal["full", "off"],
        Meta(
            description="`full` syncs every commit before it is acknowledged. `off` breaks the durability contract"
            " and is refused unless `RINGMAIN_UNSAFE_TEST=1`: it exists so that the power-cut test can prove that"
            " it notices.",
        ),
    ] = "full"


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The MQTT door: plain TCP and TLS."""

    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="Address of the plain listener. Anything but loopback is refused unless `insecure`.",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, PORT, Meta(description="Port of the plain listener; 0 takes a free one.")] = 1883
    tls_host: Annotated[
        str, Meta(min_length=1, description="Address of the TLS listener; `0.0.0.0` or `::` open it to the network.")
    ] = "127.0.0.1"
    tls_port: Annotated[int, PORT, Meta(description="Port of the TLS listener; 0 takes a free one.")] = 8883
    tls_client_certificate: Annotated[
        Literal["optional", "required"],
        Meta(
            description="Whether a client of the TLS listener may come without a certificate. `required` leaves nobody"
            " else in: a first certificate then has to come over another door (see `docs/onboarding.md`)."
        ),
    ] = "optional"
    packet_bytes_max: Annotated[
        int,
        Meta(
            ge=1024,
            le=268_435_460,
            description="Largest packet. 1 MiB is what EMQX takes too; a meter's reading is below 1 KiB.",
        ),
    ] = 1_048_576
    receive_maximum: Annotated[
        int,
        Meta(
            ge=1,
            le=65_535,
            description="Messages a client may have unacknowledged (MQTT 5 §3.1.2.11.3). Mosquitto takes 20, EMQX 32.",
        ),
    ] = 32
    keep_alive_s_max: Annotated[
        int,
        Meta(
            ge=5,
            le=65_535,
            description="Longest keep-alive; more is lowered to it (MQTT 5 §3.2.2.3.14). Many NATs forget a silent"
            " connection after 20 minutes.",
        ),
    ] = 1200
    connect_deadline_s: Annotated[
        int,
        Meta(ge=1, le=300, description="Time a new connection has until its CONNECT is complete, TLS included."),
    ] = 10
    session_expiry_s_max: Annotated[
        int,
        Meta(
            ge=0,
            le=31_536_000,
            description="How long a session outlives its connection at most (MQTT 5 §3.1.2.11.2), and for how long one"
            " of MQTT 3.1.1 without Clean Session is kept. AWS IoT keeps an hour by default.",
        ),
    ] = 7_200
    session_queue_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Messages that wait for one session of a device; further ones are dropped and counted."
            " Mosquitto and EMQX take 1,000 too.",
        ),
    ] = 1_000
    program_queue_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="The same for a session of a back-end program, and of a client of the open listener.",
        ),
    ] = 100_000
    server_reference: Annotated[
        str,
        Meta(
            max_length=253,
            description="Where clients of MQTT 5 are sent when this server shuts down (§4.13); empty sends them"
            " nowhere.",
        ),
    ] = ""
    sparkplug_host: Annotated[
        str,
        Meta(pattern=r"^[^/+#]{1,64}$", description="Our id as a Sparkplug host application (`spBv1.0/STATE/{id}`)."),
    ] = "ringmain"
    open_port: Annotated[
        Annotated[int, PORT] | None,
        Meta(
            description="Port of a further listener on 127.0.0.1 that lets anybody in without credentials, in a tenant"
            " of its own: for test suites and comparisons, never for devices. 0 takes a free one; off by default.",
        ),
    ] = None
    open_host: Annotated[
        str,
        Meta(min_length=1, description="Address of the open listener; anything but loopback is refused, always."),
    ] = "127.0.0.1"
    open_denied: Annotated[
        tuple[Annotated[str, Meta(max_length=256)], ...],
        Meta(
            max_length=64,
            description="Topic filters that the open listener refuses with 0x80 in SUBACK, as the Paho suite expects"
            " it. In the environment: separated by commas.",
        ),
    ] = ("test/nosubscribe",)
    decoders_dir: Annotated[
        str,
        Meta(
            description="A directory with decoders of your own, `NAME.yaml` each; one goes before a built-in one of its"
            " name. Empty: there are none. See `docs/protocols/decoders.md`.",
        ),
    ] = ""
    connections_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Connections at a time, plain and TLS together; further ones are closed at once. Each also"
            " needs a file descriptor (`ulimit -n`).",
        ),
    ] = 10_000


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The HTTP door: telemetry, API and metrics. For the network, put a reverse proxy with TLS in front."""

    host: Annotated[
        str,
        Meta(min_length=1, description="Address of the listener. Anything but loopback is refused unless `insecure`."),
    ] = "127.0.0.1"
    port: Annotated[int, PORT, Meta(description="Port of the listener; 0 takes a free one.")] = 8080
    body_bytes_max: Annotated[
        int,
        Meta(
            ge=1024,
            le=8_388_608,
            description="Largest body of telemetry; a larger one is refused before it is read. 1 MiB of JSON holds some"
            " 40,000 readings and takes some 25 ms to decode; a longer upload is sent in parts.",
        ),
    ] = 1_048_576


class Edge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The edge gateway, a process of its own with its own directory. How it forwards and what it keeps are settings
    that the platform gives it: see `docs/gateways.md`.
    """

    dir: Annotated[str, Meta(min_length=1, description="The edge gateway's data directory.")] = "ringmain-edge"
    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="Address of the plain listener for local meters. Anything but loopback is refused unless"
            " `insecure`.",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, PORT, Meta(description="Port of the plain listener; 0 takes a free one.")] = 1884
    tls_host: Annotated[
        str, Meta(min_length=1, description="Address of the TLS listener; meters are pinned to the platform's CA.")
    ] = "127.0.0.1"
    tls_port: Annotated[int, PORT, Meta(description="Port of the TLS listener; 0 takes a free one.")] = 8884

    @property
    def path(self) -> Path:
        """The data directory as a path."""
        return Path(self.dir).expanduser()


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The site `main` of the default tenant, where devices stand unless another is named."""

    zone: Annotated[
        str,
        Meta(description="Its time zone, an IANA name such as `Europe/London`: days begin and tariffs switch in it."),
    ] = "UTC"


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is written to standard error. Secrets never are."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least level that is written.")
    ] = "info"
    format: Annotated[
        Literal["console", "json"],
        Meta(description="`console` for people, `json` for one JSON object a line (time, level, logger, message)."),
    ] = "console"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration."""

    storage: Storage = Storage()
    mqtt: Mqtt = Mqtt()
    http: Http = Http()
    tls: Tls = Tls()
    edge: Edge = Edge()
    site: Site = Site()
    log: Log = Log()
    insecure: Annotated[
        bool,
        Meta(
            description="Permit listeners without TLS beyond loopback. Tokens then cross the network readable by"
            " everyone on the way.",
        ),
    ] = False

    @property
    def storage_dir(self) -> Path:
        """The data directory as a path."""
        return Path(self.storage.dir).expanduser()

    @property
    def registry_path(self) -> Path:
        """The registry's database; also opened by commands that work while no platform runs."""
        return self.storage_dir / "registry.sqlite"

    @property
    def admin_token_path(self) -> Path:
        """The token that opens the API as its operator (see `server.identity`)."""
        return self.storage_dir / "identity" / "admin.token"

    @property
    def socket_path(self) -> Path:
        """The Unix socket on which the running platform answers its own machine."""
        return self.storage_dir / "ringmain.sock"
