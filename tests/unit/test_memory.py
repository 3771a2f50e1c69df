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


def heaps(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    return len(re.findall("<heap nr=", done.stdout))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no arenas")
def test_threads_share_heaps():
    assert heaps("each") > HEAPS_MAX
    assert heaps("shared") == HEAPS_MAX


def test_collections_leave_alone_what_there_was():
    program = (
        "import gc; from opentrail.memory import settle; settle();"
        "print(gc.get_freeze_count(), gc.get_threshold()[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    frozen, objects = map(int, done.stdout.split())
    assert frozen > 1000
    assert objects == GC_OBJECTS
