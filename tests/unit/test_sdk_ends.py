# SPDX-License-Identifier: Apache-2.0
"""A program's last records are sent however it ends, if it ends by itself."""

import json
import subprocess
import sys

import pytest


def test_the_last_records_are_sent_when_a_program_ends(tmp_path):
    """Here into the spool, for no server is there; within the time that an end may take."""
    program = (
        "from opentrail.sdk import Recorder\n"
        f"trail = Recorder('a.b', endpoint='http://127.0.0.1:1', spool={str(tmp_path)!r})\n"
        "trail.record(eventName='Last')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
    (file,) = tmp_path.rglob("*.ndjson")
    assert json.loads(file.read_bytes())["eventName"] == "Last"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("how", ["fork", "forkserver", "spawn"])
def test_the_last_records_of_a_worker_are_sent_when_it_ends(tmp_path, how):
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "from opentrail.sdk import Recorder\n"
        "trail = Recorder('a.b', endpoint='http://127.0.0.1:1', spool=sys.argv[1])\n"
        "def work():\n"
        "    trail.record(eventName='Worked')\n"
        "if __name__ == '__main__':\n"
        "    worker = multiprocessing.get_context(sys.argv[2]).Process(target=work)\n"
        "    worker.start()\n"
        "    worker.join()\n",
        encoding="utf-8",
    )
    spool = tmp_path / "spool"
    subprocess.run([sys.executable, program, spool, how], check=True, timeout=30)
    (file,) = spool.rglob("*.ndjson")
    assert json.loads(file.read_bytes())["eventName"] == "Worked"
