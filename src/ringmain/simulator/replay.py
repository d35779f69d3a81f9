"""The meter process: replays a series over MQTT as fast as it is acknowledged, and says on stdout how it went.

`python -m ringmain.simulator.replay --series FILE …`. Exit code 0 only if the server acknowledged every message;
nothing but the one line of JSON is written to stdout.
"""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path
from random import Random

import msgspec

from ringmain.simulator.mqtt_client import MqttClient, Settings
from ringmain.simulator.publisher import Link, Undelivered, deliver
from ringmain.simulator.series import Manner, Series, SeriesError, manner_of, messages, read_series

TOKEN_VARIABLE = "METER_TOKEN"  # noqa: S105 - the variable's name; on the command line anyone could read it


class Result(msgspec.Struct, frozen=True):
    """What one replay did. `resent` counts messages that went out again after a reconnect."""

    rows: int
    messages: int
    acknowledged: int
    resent: int
    connections: int
    rows_per_message_max: int
    window: int
    seconds: float
    trouble: str = ""


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="replay", description="Replay a series of readings over MQTT at QoS 1.")
    parser.add_argument("--series", type=Path, required=True, help="CSV file: at_ms and one column for each channel")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", type=Path, help="certificate to trust; without it the link is plain TCP")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--user", required=True, help=f"the token is read from ${TOKEN_VARIABLE}")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--seed", type=int, default=0, help="decides message sizes, payload forms and the window")
    parser.add_argument("--seconds-max", type=float, default=60.0)
    return parser.parse_args(argv)


def replay(
    series: Series, settings: Settings, manner: Manner, link: Link, topic: str, rng: Random, s_max: float
) -> Result:
    """Send all of `series`; the result says how much was acknowledged, and what stood in the way of the rest."""
    started = time.monotonic()
    client = MqttClient(settings)
    count = 0
    for payload in messages(series, manner, rng):
        client.publish(topic, payload)
        count += 1
    trouble = ""
    try:
        asyncio.run(deliver(client, link, rng, seconds_max=s_max))
    except Undelivered as error:
        trouble = str(error)
    return Result(
        rows=len(series.rows),
        messages=count,
        acknowledged=client.acknowledged,
        resent=client.resent,
        connections=client.connections,
        rows_per_message_max=manner.rows_per_message_max,
        window=manner.window,
        seconds=round(time.monotonic() - started, 3),
        trouble=trouble,
    )


def main(argv: list[str] | None = None) -> int:
    """The process."""
    arguments = _arguments(sys.argv[1:] if argv is None else argv)
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        sys.stderr.write(f"{TOKEN_VARIABLE} is not set: the meter has no token to sign in with\n")
        return 2
    try:
        series = read_series(arguments.series)
    except (OSError, SeriesError) as error:
        sys.stderr.write(f"the series cannot be read: {error}\n")
        return 2
    rng = Random(arguments.seed)  # noqa: S311 - not a secret: the same seed must give the same meter
    manner = manner_of(rng)
    settings = Settings(arguments.client_id, arguments.user, token, window=manner.window)
    link = Link(arguments.host, arguments.port, arguments.ca)
    result = replay(series, settings, manner, link, arguments.topic, rng, arguments.seconds_max)
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    if result.trouble:
        sys.stderr.write(result.trouble + "\n")
    return 1 if result.trouble else 0


if __name__ == "__main__":
    sys.exit(main())
