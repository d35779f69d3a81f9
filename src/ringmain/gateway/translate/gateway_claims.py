"""Claims that a gateway passes on: handed to whoever redeems them, and never kept. They are secrets, so that none of
them becomes a dead letter, whatever is wrong with it.
"""

from collections.abc import Callable, Sequence

from ringmain.gateway.columns import OpenBatch
from ringmain.model.batch import DeadLetter
from ringmain.model.device import Device


class GatewayClaims:
    """Translates the claims of all gateways."""

    def __init__(self, on_claim: Callable[[Device, bytes], None]) -> None:
        self._on_claim = on_claim

    def translate(
        self,
        batch: OpenBatch,
        gateway: Device,
        payloads: Sequence[bytes],
        door: str,  # noqa: ARG002 - they leave no trace
        topic: str,  # noqa: ARG002 - they leave no trace
    ) -> Sequence[DeadLetter]:
        """Hand on each of them. Their acknowledgement means that they were taken, not that they are redeemed."""
        batch.messages += len(payloads)
        for payload in payloads:
            self._on_claim(gateway, payload)
        return ()
