"""What of a CONNECT is not offered (§3.2.2.2), and what the server answers to one that it accepts: the properties of
CONNACK (§3.2.2.3).
"""

from ringmain.protocols.mqtt.events import Limits
from ringmain.protocols.mqtt.packets import Connect
from ringmain.protocols.mqtt.properties import Property, Value
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason


def check(connect: Connect, limits: Limits) -> None:
    """A violation where a CONNECT asks for what is not offered, or has no client id where it has to have one."""
    if Property.AUTHENTICATION_METHOD in connect.properties:
        raise ProtocolViolation(Reason.BAD_AUTHENTICATION_METHOD, "enhanced authentication is not offered")
    will = connect.will
    if will and connect.level == 5 and will.retain and not limits.retain:
        raise ProtocolViolation(Reason.RETAIN_NOT_SUPPORTED, "will retain is not available", "MQTT-3.2.2-13")
    if will and will.qos > limits.maximum_qos:
        raise ProtocolViolation(Reason.QOS_NOT_SUPPORTED, f"will of QoS {will.qos}", "MQTT-3.2.2-12")
    if connect.level == 4 and not connect.client_id and not connect.clean_start:
        raise ProtocolViolation(Reason.CLIENT_IDENTIFIER_NOT_VALID, "empty client id", "MQTT-3.1.3-8")
    if connect.level == 3 and not connect.client_id:  # longer than 23 characters is taken, as everywhere today
        raise ProtocolViolation(Reason.CLIENT_IDENTIFIER_NOT_VALID, "MQTT 3.1 has no empty client id")


def number_of(connect: Connect | None, name: Property, default: int) -> int:
    """A number that a CONNECT gives, or what its absence means."""
    value = connect.properties.get(name, default) if connect else default
    return value if isinstance(value, int) else default


def connack_properties(
    connect: Connect,
    limits: Limits,
    keep_alive_s: int,
    assigned_client_id: str,
    session_expiry_s: int,
    response_information: str,
) -> dict[Property, Value]:
    """What is not said has the standard's default; `keep_alive_s` and `session_expiry_s` are those granted."""
    found: dict[Property, Value] = {
        Property.RECEIVE_MAXIMUM: limits.receive_maximum,
        Property.MAXIMUM_PACKET_SIZE: limits.packet_bytes_max,
    }
    if limits.topic_aliases:
        found[Property.TOPIC_ALIAS_MAXIMUM] = limits.topic_aliases
    if limits.maximum_qos < 2:
        found[Property.MAXIMUM_QOS] = limits.maximum_qos
    for name, offered in (
        (Property.RETAIN_AVAILABLE, limits.retain),
        (Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE, limits.subscription_identifiers),
        (Property.SHARED_AVAILABLE, limits.shared),
    ):
        if not offered:
            found[name] = 0
    if number_of(connect, Property.SESSION_EXPIRY, 0) != session_expiry_s:
        found[Property.SESSION_EXPIRY] = session_expiry_s
    if assigned_client_id:
        found[Property.ASSIGNED_CLIENT_IDENTIFIER] = assigned_client_id
    if keep_alive_s != connect.keep_alive_s:
        found[Property.SERVER_KEEP_ALIVE] = keep_alive_s
    if response_information and number_of(connect, Property.REQUEST_RESPONSE_INFORMATION, 0):
        found[Property.RESPONSE_INFORMATION] = response_information
    return found
