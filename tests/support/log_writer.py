# SPDX-License-Identifier: Apache-2.0
"""A process that appends until it is killed, and says of each append that it was acknowledged.

python log_writer.py <data directory> <threads> <number to begin with>
"""

import os
import sys
import threading
from pathlib import Path

from opentrail.clock import SystemClock, SystemIds
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments

OPTIONS = LogOptions(segment_bytes_max=20_000, disk_reserve_bytes=0, dictionary=b"")


def work(log: Segments, worker: int, number: int) -> None:
    while True:
        texts = [b"%d-%d-%d" % (worker, number, index) for index in range(1 + number % 3)]
        positions = log.append([Draft(Origin.CAPTURE, text) for text in texts])
        # One write is shorter than a pipe's buffer, so it is never torn.
        os.write(1, b"%d %d %d %d\n" % (worker, number, len(texts), positions[0]))
        number += 1


def main(data: str, threads: str, number: str) -> None:
    log = Segments.open(Path(data), SystemClock(), SystemIds(), OPTIONS)
    if log.damage is not None:
        raise log.damage
    for worker in range(int(threads)):
        threading.Thread(target=work, args=(log, worker, int(number)), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
