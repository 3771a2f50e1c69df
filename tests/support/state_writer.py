# SPDX-License-Identifier: Apache-2.0
"""A process that counts up in a state store until it is killed, and says what it committed.

python state_writer.py <path of the store>
"""

import os
import sys
from pathlib import Path

from opentrail.state.base import Change
from opentrail.state.sqlite import SqliteState

KEYS = [f"count/{index}" for index in range(40)]


def main(path: str) -> None:
    state = SqliteState.open(Path(path))
    number = max((int(entry.value) for entry in state.scan("count/")), default=0)
    while True:
        number += 1
        state.commit([Change(key, b"%d" % number, None) for key in KEYS])
        # One write is shorter than a pipe's buffer, so it is never torn.
        os.write(1, b"%d\n" % number)


if __name__ == "__main__":
    main(*sys.argv[1:])
