"""A chunk: what a gateway sends at once. Its blocks are those of `model.batch`, but for the devices: they are indices
into `names`, because keys are a matter of each installation.
"""

import msgspec

from ringmain.model.batch import Block, DeadLetter
from ringmain.model.ids import DeviceId


class Chunk(msgspec.Struct, frozen=True):
    """Readings of many devices. In `blocks` and `letters` a device is its index in `names`; `quarantined` of a block
    says nothing, the platform decides by the device's state.
    """

    names: tuple[DeviceId, ...]
    blocks: tuple[Block, ...]
    letters: tuple[DeadLetter, ...] = ()

    @property
    def readings(self) -> int:
        """Single values, over all blocks."""
        return sum(block.messages * len(block.channels) for block in self.blocks)
