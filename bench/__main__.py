# SPDX-License-Identifier: Apache-2.0
"""All benchmarks by one command: ``python -m bench``, from the repository's root."""

import argparse
import gc
import os
import tempfile
from pathlib import Path

from bench import (
    append,
    audit,
    delivery,
    endtoend,
    gateway,
    importing,
    index,
    intake,
    lookup,
    lookup_http,
    machine,
    sdk,
    verify,
)

PARTS = {
    "append": append.run,
    "gateway": gateway.run,
    "audit": audit.run,
    "delivery": delivery.run,
    "endtoend": endtoend.run,
    "lookup": lookup.run,
    "lookup-http": lookup_http.run,
    "verify": verify.run,
    "index": index.run,
    "intake": intake.run,
    "sdk": sdk.run,
    "import": importing.run,
}
ROUNDS, SECONDS = 5, 3.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 0.2


def main() -> None:
    """Run the parts that are asked for, and look at the machine before and after."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; all if none is given")
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}")
    parser.add_argument("--seconds", type=float, help=f"of one measurement; default {SECONDS}")
    parser.add_argument("--quick", action="store_true", help="only see that all of it works")
    parser.add_argument("--directory", type=Path, help="on the disk to measure; else the system's")
    given = parser.parse_args()
    if unknown := set(given.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    rounds = given.rounds or (QUICK_ROUNDS if given.quick else ROUNDS)
    seconds = given.seconds or (QUICK_SECONDS if given.quick else SECONDS)
    # Programs that are started again and again would be compiled anew each time: no user's are.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    gc.collect()
    gc.freeze()  # all parts are loaded: a collection of that would fall into some measurement
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        before = machine.look(Path(name))
        for part in given.part or PARTS:
            PARTS[part](Path(name), rounds, seconds)
        machine.report(before, machine.look(Path(name)))
    gc.unfreeze()  # or DuckDB complains at the end of what was never collected
    print(f"{rounds} rounds of {seconds} s each; figures are medians over the rounds")


if __name__ == "__main__":
    main()
