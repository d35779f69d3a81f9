"""How a fleet leaves: a moment for what is on its way, a goodbye on each connection, and an end within two seconds."""

import asyncio
from collections.abc import Callable, Sequence

from ringmain.simulator.fleet_meter import Meter

GOODBYE_S, CLOSE_S = 0.8, 0.5
"""For acknowledgements that are on their way, and for connections to close in order."""

LOOK_S = 0.005


async def leave(meters: Sequence[Meter]) -> None:
    """Returns when every connection is closed or broken off. What is unacknowledged then stays with its meter."""
    await _until(lambda: not any(meter.up and meter.client.unacknowledged for meter in meters), GOODBYE_S)
    for meter in meters:
        if meter.transport is not None:
            meter.transport.write(meter.client.disconnect())
            meter.transport.close()
    await _until(lambda: not any(meter.transport for meter in meters), CLOSE_S)
    for meter in meters:
        if meter.transport is not None:
            meter.transport.abort()


async def _until(condition: Callable[[], bool], seconds_max: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds_max
    while not condition() and loop.time() < end:  # noqa: ASYNC110 - transports tell their protocol, nobody else
        await asyncio.sleep(LOOK_S)
