"""Chance with a key: the same key gives the same numbers, in every process and with every release of numpy.

numpy promises that for the raw output of a bit generator alone, not for what its `Generator` makes of it (NEP 19), so
numbers are made from raw output here. It must never be asked for anything that is to be secret.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Words = NDArray[np.uint16]

_SUMMED = 12
"""The sum of twelve uniform numbers has variance one and ends at six: no home is a freak."""


class Chance:
    """A stream of numbers that belongs to `key` (whole numbers, none negative), drawn in a fixed order."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def uniform(self, *shape: int) -> Floats:
        """In [0, 1), in steps of 2**-32."""
        count = int(np.prod(shape))
        raw = self._bits.random_raw((count + 1) // 2).astype("<u8", copy=False).view("<u4")
        return (raw[:count] * 2.0**-32).reshape(shape)

    def words(self, *shape: int) -> Words:
        """Whole numbers from 0 to 65,535: chances that are only compared need no more."""
        count = int(np.prod(shape))
        raw = self._bits.random_raw((count + 3) // 4).astype("<u8", copy=False).view("<u2")
        return raw[:count].reshape(shape)

    def normal(self, *shape: int) -> Floats:
        """Mean 0, variance 1, never beyond 6."""
        return np.asarray(self.uniform(_SUMMED, *shape).sum(axis=0) - _SUMMED / 2, dtype=np.float64)
