"""Replay: a dead letter goes through the door again, as its device is now."""

from ringmain.apps.server.api.context import Intake
from ringmain.gateway.http import TELEMETRY, HttpTelemetry
from ringmain.gateway.pipeline import Pipeline
from ringmain.gateway.route import Purpose
from ringmain.model.device import Principal
from ringmain.model.errors import Refused
from ringmain.ports.directory import Directory
from ringmain.ports.outcomes import StoredDeadLetter
from ringmain.ports.registry import Registry


class Replay:
    """`await replay(letter)`: what became of it."""

    def __init__(self, registry: Registry, directory: Directory, pipeline: Pipeline, telemetry: HttpTelemetry) -> None:
        self._registry = registry
        self._directory = directory
        self._pipeline = pipeline
        self._telemetry = telemetry

    async def __call__(self, letter: StoredDeadLetter) -> Intake:
        """`Refused("not_found")` where its device is no more; the letter stays in any case."""
        device = await self._registry.by_key(letter.device)
        profile = await self._directory.profile(device.tenant, device.profile) if device else None
        if device is None or profile is None:
            raise Refused("not_found", "the device of this dead letter is not known", "it stays where it is")
        principal, topic = Principal(device, profile), letter.topic.encode()
        # A chunk's letter has the topic of its gateway, and readings of the device as plain telemetry.
        if self._pipeline.route(principal, topic).purpose is Purpose.REJECT:
            topic = TELEMETRY
        answer = await self._telemetry.take(principal, letter.payload, topic)
        return Intake(answer.received, answer.accepted, answer.rejected, answer.dead_lettered)
