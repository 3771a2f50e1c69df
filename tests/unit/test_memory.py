# SPDX-License-Identifier: Apache-2.0
import platform
import re
import subprocess
import sys

import pytest

from opentrail.memory import GC_OBJECTS, HEAPS_MAX

PROGRAM = """
import ctypes, os, sys, threading
from opentrail.memory import share_heaps

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
if sys.argv[1] == "shared":
    share_heaps()
together = threading.Barrier(8)

def ask():
    together.wait()
    libc.malloc(ctypes.c_size_t(1000))
    together.wait()

threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


LARGE_AFTER_LARGER = """
import ctypes, sys
from opentrail.memory import LARGE_BYTES, share_heaps

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
if sys.argv[1] == "shared":
    share_heaps()
libc.free(ctypes.c_void_p(libc.malloc(ctypes.c_size_t(4 * LARGE_BYTES))))
libc.malloc(ctypes.c_size_t(2 * LARGE_BYTES))
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""

only_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="another C library has its own ways"
)


def told(program: str, how: str) -> str:
    """What malloc_info(3) says at the end of a program."""
    done = subprocess.run(
        [sys.executable, "-c", program, how], capture_output=True, text=True, check=True
    )
    return done.stdout


def heaps(how: str) -> int:
    return len(re.findall("<heap nr=", told(PROGRAM, how)))


def given_back(how: str) -> int:
    """How many pieces of memory go back to the system once they are freed."""
    return int(re.findall('<total type="mmap" count="([0-9]+)"', told(LARGE_AFTER_LARGER, how))[0])


@only_glibc
def test_threads_share_heaps():
    assert heaps("each") > HEAPS_MAX
    assert heaps("shared") == HEAPS_MAX


@only_glibc
def test_what_is_large_is_given_back_also_after_something_larger():
    assert given_back("shared") == given_back("each") + 1


def test_collections_leave_alone_what_there_was():
    program = (
        "import gc; from opentrail.memory import settle; settle();"
        "print(gc.get_freeze_count(), gc.get_threshold()[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    frozen, objects = map(int, done.stdout.split())
    assert frozen > 1000
    assert objects == GC_OBJECTS
