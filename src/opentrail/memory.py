# SPDX-License-Identifier: Apache-2.0
"""How a process that lives long keeps its memory: few heaps, and no look at what stays anyway.

glibc, mallopt(3): M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD.
"""

import ctypes
import gc

HEAPS_MAX = 2
"""One for each core of a small machine. Python's threads take turns, and hardly ever wait for each
other's heap; each of many heaps keeps what it was once asked for, and the others could use."""
LARGE_BYTES = 1024 * 1024
"""What is as long is given back to the system once it is freed. glibc itself raises that bound to the
longest that ever was, and then the arrays of one merge leave holes that nothing fills."""
_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1
"""M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD (malloc.h)."""
GC_OBJECTS = 50_000
"""New objects before a collection: calls make hardly any cycles, so looking often is wasted."""


def share_heaps() -> None:
    """Have all threads that begin from now on share ``HEAPS_MAX`` heaps, which hold nothing large.

    Where the C library is not glibc nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    wanted = {
        _ARENA_MAX: HEAPS_MAX,
        _MMAP_THRESHOLD: LARGE_BYTES,
        _TRIM_THRESHOLD: LARGE_BYTES,
    }
    for name, value in wanted.items():
        mallopt(ctypes.c_int(name), ctypes.c_int(value))


def settle() -> None:
    """Have collections look at what comes from now on only: at all there is they take 20 to 40 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_OBJECTS, 10, 10)
