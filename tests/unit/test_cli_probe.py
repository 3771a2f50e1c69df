# SPDX-License-Identifier: Apache-2.0
"""What the operator's commands say of a server that does not answer."""

import pytest

from opentrail.cli.probe import Answer, no_answer
from opentrail.config import load
from opentrail.eventlog.lock import NAME, DataLock

ASKED = "no answer at http://127.0.0.1:4540: Connection refused"


def said(data):
    return no_answer(
        load(None, {"OPENTRAIL_DATA": str(data)}, {}), Answer(0, why="Connection refused")
    )


@pytest.mark.parametrize(
    ("address", "where"),
    [("127.0.0.1:7802", "127.0.0.1:7802"), ("0.0.0.0:80", "127.0.0.1:80"), ("[::1]:9", "[::1]:9")],
)
def test_where_the_last_server_of_the_directory_listened_is_told(tmp_path, address, where):
    DataLock.take(tmp_path, address).release()
    assert said(tmp_path) == f"{ASKED}; the last server of {tmp_path} listened on {where}"


@pytest.mark.parametrize(
    "address", ["127.0.0.1:4540", "0.0.0.0:4540", "opentrail fsck --rebuild", ""]
)
def test_what_was_asked_and_what_is_no_server_is_not_told(tmp_path, address):
    DataLock.take(tmp_path, address).release()
    assert said(tmp_path) == ASKED


def test_a_lock_that_cannot_be_read_says_nothing(tmp_path):
    assert said(tmp_path) == ASKED
    (tmp_path / NAME).mkdir()
    assert said(tmp_path) == ASKED
