"""mosquitto's byte-exact broker sequences: where they are, and how they are written.

The files stand beside the checkout (`../shared/data/mqtt-sequences`), not in it, and are read where they stand.
"""

import re
from pathlib import Path

from ringmain.protocols.mqtt import wire

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "mqtt-sequences"
CONNECT = {
    3: "10 r15 s6 'MQIsdp' 03 02 k10 s1 'p'",
    4: "10 r13 s4 'MQTT' 04 02 k10 s1 'p'",
    5: "10 r14 s4 'MQTT' 05 02 k10 v0 s1 'p'",
}


def octets(text: str) -> bytes:
    """mosquitto's notation: rN remaining length, vN variable integer, sN kN mN HN two bytes, LN four, iN one."""
    out = bytearray()
    for word in re.findall(r"'[^']*'|\S+", text):
        kind, number = word[0], word[1:]
        if kind == "'":
            out += word[1:-1].encode()
        elif kind in "rv":
            value = int(number)
            out += wire.variable(value) if value <= wire.VARIABLE_INTEGER_MAX else b"\x80\x80\x80\x80\x01"
        elif kind in "skmH":
            out += int(number).to_bytes(2, "big")
        elif kind == "L":
            out += int(number).to_bytes(4, "big")
        elif kind == "i":
            out += int(number).to_bytes(1, "big")
        else:
            out += bytes.fromhex(word)
    return bytes(out)
