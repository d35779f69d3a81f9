"""Parting with names: before a key stands for another device, what came in under it has to be told apart from it."""

import asyncio

from ringmain.apps.edge.aggregate import EdgeAggregation
from ringmain.gateway.intake import Intake
from ringmain.ports.buffer import Buffer
from ringmain.services.forwarding.keeping import Keeper

LOOK_EVERY_S = 0.1
"""At what is on its way: it is settled, or falls back and is sealed."""


async def part_with_names(intake: Intake, buffer: Buffer, keeper: Keeper, aggregation: EdgeAggregation) -> None:
    """Return when no raw row is left of what came in until now. Windows that are open begin anew."""
    await intake.drain()
    while intake.trouble:  # noqa: ASYNC110 - what could not be committed is in nobody's hands but the intake's
        await asyncio.sleep(LOOK_EVERY_S)
    aggregation.begin_anew()
    last = buffer.status().last
    while await keeper.holds_raw(last):
        await keeper.seal(now=True)
        await asyncio.sleep(LOOK_EVERY_S)
