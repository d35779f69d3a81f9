"""Configuration of the certificates: the keys of `[tls]`; a part of `config`, like which nothing here reads a file."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The certificates of the MQTT listener with TLS: the platform's own, or others. Changed files are taken while it
    runs, and at SIGHUP or `ringmain tls reload` at once; those of no use are refused and nothing changes.
    """

    names: Annotated[
        tuple[Annotated[str, Meta(max_length=253, pattern=r"^[A-Za-z0-9*._:-]+$")], ...],
        Meta(
            max_length=64,
            description="Further host names and addresses in the server certificate that the platform makes;"
            " `localhost`, `127.0.0.1` and `::1` are always there. In the environment: separated by commas.",
        ),
    ] = ()
    certificate: Annotated[
        str,
        Meta(
            description="A server certificate to use instead of the platform's own: a PEM file, its issuers behind it."
            " Devices that redeem a claim are told to trust those issuers too."
        ),
    ] = ""
    key: Annotated[str, Meta(description="Its private key: a PEM file, not encrypted.")] = ""
    client_ca: Annotated[
        str,
        Meta(
            description="CA certificates (a PEM file) whose clients are let in beside the platform's own. Such a"
            " certificate signs in the device that its subject names: CN is the id, O the tenant, without O `default`."
        ),
    ] = ""
    crl: Annotated[
        str,
        Meta(
            description="Certificate revocation lists (a PEM file) of these CAs: what they name ends at the handshake,"
            " and a connection that is open when a list comes is closed. A list that is out of date lets nobody of its"
            " CA in."
        ),
    ] = ""
