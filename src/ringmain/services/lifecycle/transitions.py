"""Transitions: what a device becomes of an event, read from the one table of `model.device`. Pure."""

from ringmain.model.device import LIFECYCLE, LifecycleEvent, LifecycleState
from ringmain.model.errors import Refused


def after(state: LifecycleState, event: LifecycleEvent) -> LifecycleState:
    """The state that follows. `Refused("invalid_transition")`, with what is possible, where none does."""
    following = LIFECYCLE.get((state, event))
    if following is None:
        raise Refused(
            "invalid_transition",
            f"A device that is {state.value} cannot {event.value}. Its state is unchanged.",
            _possible(state),
        )
    return following


def events(state: LifecycleState) -> tuple[LifecycleEvent, ...]:
    """What can be done to a device in this state."""
    return tuple(event for known, event in LIFECYCLE if known is state)


def _possible(state: LifecycleState) -> str:
    verbs = [event.value for event in events(state)]
    if not verbs:
        return f"{state.value} is final: register a device with another id."
    return f"Possible from {state.value}: {', '.join(verbs)}."
