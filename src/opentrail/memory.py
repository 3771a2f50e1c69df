# SPDX-License-Identifier: Apache-2.0
"""How a process that lives long keeps its memory: few heaps, and no look at what stays anyway.

glibc, mallopt(3): M_ARENA_MAX.
"""

import ctypes
import gc

HEAPS_MAX = 2
"""One for each core of a small machine. Python's threads take turns, and hardly ever wait for each
other's heap; each of many heaps keeps what it was once asked for, and the others could use."""
_ARENA_MAX = -8
"""M_ARENA_MAX (malloc.h)."""
GC_OBJECTS = 50_000
"""New objects before a collection: calls make hardly any cycles, so looking often is wasted."""


def share_heaps() -> None:
    """Have all threads that begin from now on share ``HEAPS_MAX`` heaps; elsewhere nothing is done."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(ctypes.c_int(_ARENA_MAX), ctypes.c_int(HEAPS_MAX))


def settle() -> None:
    """Have collections look at what comes from now on only: at all there is they take 20 to 40 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_OBJECTS, 10, 10)
