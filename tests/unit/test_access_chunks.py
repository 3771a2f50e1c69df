# SPDX-License-Identifier: Apache-2.0
"""Bodies signed chunk by chunk, held against AWS's own examples and against what can be done to them.

The signatures are those of the S3 API Reference, "Signature calculations … in multiple chunks" and
"… including trailing headers" (66,560 letters a, in two chunks).
"""

import pytest

from opentrail.access.chunks import (
    LINE_BYTES_MAX,
    SIGNED_CHUNKS,
    SIGNED_TRAILER,
    TRAILER_LINES_MAX,
    ChunkCheck,
    ChunkSigner,
)
from opentrail.access.sigv4 import chunk_check
from opentrail.aws.request import Credential, RequestHead
from opentrail.errors import ClientError

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
CHUNKS = (
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
TRAILER = (
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)
TRAILING = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
LENGTH = 66_560


def body(seeds: tuple[str, ...] = CHUNKS, end: bytes = b"\r\n") -> bytes:
    return b"".join(
        (
            b"10000;chunk-signature=%b\r\n%b\r\n" % (seeds[1].encode(), b"a" * 65_536),
            b"400;chunk-signature=%b\r\n%b\r\n" % (seeds[2].encode(), b"a" * 1024),
            b"0;chunk-signature=%b\r\n" % seeds[3].encode(),
            end,
        )
    )


def trailed(
    lines: bytes = b"x-amz-checksum-crc32c:sOO8/Q==\r\n", signature: str = TRAILING
) -> bytes:
    return body(TRAILER, lines + b"x-amz-trailer-signature:%b\r\n\r\n" % signature.encode())


def check(declared: str = SIGNED_CHUNKS, length: int | None = LENGTH) -> ChunkCheck:
    seeds = CHUNKS if declared == SIGNED_CHUNKS else TRAILER
    headers = {"x-amz-content-sha256": declared, "x-amz-date": "20130524T000000Z"}
    if length is not None:
        headers["x-amz-decoded-content-length"] = str(length)
    head = RequestHead("PUT", "/examplebucket/chunkObject.txt", "", headers)
    credential = Credential("k", "20130524", "us-east-1", "s3", ("host",), seeds[0], "")
    found = chunk_check(head, credential, SECRET)
    assert found is not None
    return found


def good(data: bytes, declared: str = SIGNED_CHUNKS, step: int = 0, **more: int | None) -> bool:
    found = check(declared, **more)
    step = step or len(data) or 1
    fed = [found.feed(data[at : at + step]) for at in range(0, len(data), step)]
    return all(fed) and found.complete()


@pytest.mark.parametrize("step", [0, 1, 2, 7, 83, 4096, 65_537])
def test_awss_own_examples(step):
    assert good(body(), step=step)
    assert good(trailed(), SIGNED_TRAILER, step)


def test_the_length_need_not_be_said_but_must_be_true():
    assert good(body(), length=None)
    assert not good(body(), length=LENGTH - 1)


@pytest.mark.parametrize(
    "data",
    [
        body().replace(b"aa", b"ab", 1),
        body().replace(b"400;", b"3ff;"),
        body().replace(b"400;", b"401;"),
        body()[:-100],
        body()[: body().index(b"0;chunk-signature=b6c6")],
        body(end=b"x"),
        body() + b"x",
        body() + b"\n",
        body(end=b"x\r\n"),
        body()[body().index(b"400;") :],
        body().replace(b"\r\n", b"\n"),
        body().replace(b";chunk-signature=", b";chunk-signature =", 1),
        body().replace(CHUNKS[2].encode(), CHUNKS[1].encode()),
        body().replace(CHUNKS[3].encode(), b"0" * 64),
        body().replace(CHUNKS[1].encode(), CHUNKS[1].upper().encode()),
        b"",
        b"\r\n",
        b"-1;chunk-signature=" + b"0" * 64 + b"\r\n",
        b"0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n",
    ],
)
@pytest.mark.parametrize("step", [0, 1])
def test_what_was_changed_is_not_good(data, step):
    assert not good(data, step=step)


@pytest.mark.parametrize(
    "data",
    [
        trailed(b"x-amz-checksum-crc32c:sOO8/R==\r\n"),
        trailed(b""),
        trailed(b"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-more:1\r\n"),
        trailed(signature="0" * 64),
        body(TRAILER),
        body(TRAILER, b"x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n"),
        trailed(b"no colon\r\n"),
        trailed(b"\r\n\r\n"),
        trailed() + b"x",
    ],
)
def test_trailing_headers_that_were_changed_are_not_good(data):
    assert not good(data, SIGNED_TRAILER)


def test_nothing_is_good_after_something_was_not():
    found = check()
    assert not found.feed(body().replace(b"aa", b"ab", 1))
    assert not found.feed(b"0")
    assert not found.complete()


def test_lines_and_trailers_are_bounded():
    assert check().feed(b"0" * LINE_BYTES_MAX)
    assert not check().feed(b"0" * (LINE_BYTES_MAX + 1))
    start = body(TRAILER, b"")
    lines = b"a:b\r\n" * TRAILER_LINES_MAX
    assert check(SIGNED_TRAILER).feed(start + lines)
    assert not check(SIGNED_TRAILER).feed(start + lines + b"a:b\r\n")


def test_other_ways_to_sign_chunks_are_refused_in_words():
    with pytest.raises(ClientError, match="cannot be checked"):
        check("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")


def test_no_secret_is_shown():
    signer = ChunkSigner(b"the-key", "t", "s", "the-seed")
    assert "the-" not in repr(signer)
