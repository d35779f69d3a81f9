"""The meter process: replays a series over MQTT as fast as it is acknowledged, and says on stdout how it went.

`python -m ringmain.simulator.replay --series FILE …`. With `--pace-s` it takes its time by a clock of its own, until
SIGUSR1 tells it to say at once what is left. Exit code 0 only if the server acknowledged every message; nothing but
the one line of JSON is written to stdout.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

import msgspec

from ringmain.simulator.mqtt_client import MqttClient, Settings
from ringmain.simulator.pace import DriftingClock, Feed, overtaken
from ringmain.simulator.progress import Diary
from ringmain.simulator.publisher import Link, Pacing, Undelivered, deliver
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
    parser.add_argument("--pace-s", type=float, default=0.0, help="spread over so long; 0: as fast as acknowledged")
    parser.add_argument("--drift-max", type=float, default=0.0, help="by how much the meter's clock may run wrong")
    parser.add_argument("--late-places-max", type=int, default=0, help="by how many messages one may be overtaken")
    parser.add_argument("--progress", type=Path, help="file for a line of JSON after each word to or from the server")
    return parser.parse_args(argv)


class Delivery(msgspec.Struct, frozen=True):
    """How a replay is delivered: where to, until when, at whose pace, and where it is noted."""

    link: Link
    topic: str
    seconds_max: float = 60.0
    pace_s: float = 0.0
    drift_max: float = 0.0
    late_places_max: int = 0
    progress: Path | None = None


def replay(series: Series, settings: Settings, manner: Manner, delivery: Delivery, rng: Random) -> Result:
    """Send all of `series`; the result says how much was acknowledged, and what stood in the way of the rest."""
    started = time.monotonic()
    client = MqttClient(settings)
    said = list(messages(series, manner, rng))
    if delivery.late_places_max:
        said = overtaken(said, delivery.late_places_max, rng)
    feed = Feed(said, delivery.pace_s, DriftingClock(delivery.drift_max, rng))
    trouble = ""
    with ExitStack() as stack:
        diary = stack.enter_context(Diary(delivery.progress)) if delivery.progress else None
        pacing = _pacing(client, feed, delivery.topic, diary)
        pacing.release(started)
        try:
            asyncio.run(_deliver(client, feed, pacing, delivery, rng))
        except Undelivered as error:
            trouble = str(error)
    return Result(
        rows=len(series.rows),
        messages=len(said),
        acknowledged=client.acknowledged,
        resent=client.resent,
        connections=client.connections,
        rows_per_message_max=manner.rows_per_message_max,
        window=manner.window,
        seconds=round(time.monotonic() - started, 3),
        trouble=trouble,
    )


def _pacing(client: MqttClient, feed: Feed, topic: str, diary: Diary | None) -> Pacing:
    def release(now: float) -> None:
        for payload in feed.due(now):
            client.publish(topic, payload)

    def note() -> None:
        if diary:
            acknowledged = client.acknowledged
            sent = acknowledged + client.in_flight
            diary.note(connection=client.connections, connected=client.connected, sent=sent, acknowledged=acknowledged)

    return Pacing(release, lambda: feed.left, feed.look_again, note)


async def _deliver(client: MqttClient, feed: Feed, pacing: Pacing, delivery: Delivery, rng: Random) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, feed.hurry)
    await deliver(client, delivery.link, rng, seconds_max=delivery.seconds_max, pacing=pacing)


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
    delivery = Delivery(
        link=Link(arguments.host, arguments.port, arguments.ca),
        topic=arguments.topic,
        seconds_max=arguments.seconds_max,
        pace_s=arguments.pace_s,
        drift_max=arguments.drift_max,
        late_places_max=arguments.late_places_max,
        progress=arguments.progress,
    )
    result = replay(series, settings, manner, delivery, rng)
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    if result.trouble:
        sys.stderr.write(result.trouble + "\n")
    return 1 if result.trouble else 0


if __name__ == "__main__":
    sys.exit(main())
