# SPDX-License-Identifier: Apache-2.0
"""Random identifiers that are the same in every run."""

import random


class SeededIds:
    """``opentrail.clock.Ids`` from a seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def random_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)
