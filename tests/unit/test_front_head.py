# SPDX-License-Identifier: Apache-2.0
"""Heads end where they end, however the network splits what a client sends."""

from opentrail.front.head import HeadFilter

SENT = (
    b"PUT /b HTTP/1.1\r\nHost: a\r\nUpGrade: h2c\r\nX: upg\r\nContent-Length: 30\r\n\r\n"
    b"abc\nUpgrade: 1\r\nu\r\nup\r"
)
PASSED = SENT.replace(b"UpGrade:", b"trailer:")


def passed(*pieces: bytes) -> bytes:
    """What the parser gets of the pieces: once it has a whole head, the rest as it comes."""
    heads, out = HeadFilter(), b""
    for piece in pieces:
        out += piece if b"\r\n\r\n" in out else heads.passed(piece)
    return out


def test_every_split_in_three_passes_the_same():
    for first in range(1, len(SENT)):
        for second in range(first + 1, len(SENT)):
            pieces = SENT[:first], SENT[first:second], SENT[second:]
            assert passed(*pieces) == PASSED, pieces


def test_byte_by_byte_and_all_at_once():
    assert passed(SENT) == PASSED
    assert passed(*(SENT[at : at + 1] for at in range(len(SENT)))) == PASSED
