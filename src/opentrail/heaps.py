# SPDX-License-Identifier: Apache-2.0
"""How many heaps the C library keeps for the threads of a process.

glibc, mallopt(3): M_ARENA_MAX.
"""

import ctypes

HEAPS_MAX = 2
"""One for each core of a small machine. Python's threads take turns, and hardly ever wait for each
other's heap; each of many heaps keeps what it was once asked for, and the others could use."""
_ARENA_MAX = -8
"""M_ARENA_MAX (malloc.h)."""


def share_heaps() -> None:
    """Have all threads that begin from now on share ``HEAPS_MAX`` heaps; elsewhere nothing is done."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(ctypes.c_int(_ARENA_MAX), ctypes.c_int(HEAPS_MAX))
