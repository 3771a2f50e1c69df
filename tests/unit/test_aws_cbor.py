# SPDX-License-Identifier: Apache-2.0
"""CBOR is read as RFC 8949 has it, and never past a bound, whatever arrives."""

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.aws.cborbody import BIGNUM_BYTES_MAX, BYTES_MAX, DEPTH_MAX, decode
from opentrail.aws.model import operation
from opentrail.aws.protocol import request_members, response_members
from opentrail.aws.request import RequestHead, Target


@pytest.mark.parametrize(
    ("data", "value"),
    [  # RFC 8949, appendix A
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1a000f4240", 1_000_000),
        ("1bffffffffffffffff", 2**64 - 1),
        ("20", -1),
        ("3863", -100),
        ("3bffffffffffffffff", -(2**64)),
        ("f93c00", 1.0),
        ("f97bff", 65504.0),
        ("fa47c35000", 100_000.0),
        ("fbc010666666666666", -4.1),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("f7", None),
        ("f97c00", None),
        ("f97e00", None),
        ("c11a514b67b0", 1363896240),
        ("c1fb41d452d9ec200000", 1363896240.5),
        ("4401020304", base64.b64encode(b"\1\2\3\4").decode()),
        ("60", ""),
        ("62c3bc", "ü"),
        ("80", []),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("5f42010243030405ff", base64.b64encode(b"\1\2\3\4\5").decode()),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9fff", []),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
    ],
)
def test_examples_of_the_specification(data, value):
    assert decode(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("c249010000000000000000", "18446744073709551616"),
        ("c349010000000000000000", "-18446744073709551617"),
    ],
)
def test_integers_past_64_bits_keep_their_digits(data, text):
    assert decode(bytes.fromhex(data)) == msgspec.Raw(text.encode())


@pytest.mark.parametrize(
    "data",
    [
        "",
        "0000",  # two items
        "1c",  # reserved length
        "18",  # the length itself is missing
        "5bffffffffffffffff",  # a string of 16 EiB
        "62c3",
        "61ff",  # no UTF-8
        "9bffffffffffffffff",
        "bbffffffffffffffff",
        "9a00ffffff00",
        "a10101",  # a key that is a number
        "a1",
        "a16161",
        "9f01",  # never ends
        "bf6161",
        "7f4101ff",  # bytes within text
        "7f7f6161ffff",
        "5f00ff",
        "1f",
        "3f",
        "df00",
        "ff",
        "f800",
        "f818",
        "e0",
        "f9",
        "c2",
        "c201",
        "c1",
    ],
)
def test_what_is_not_whole_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        decode(bytes.fromhex(data))


def test_nesting_is_bounded():
    for opening, closing in ((b"\x81", b"\x80"), (b"\x9f", b"\x9f"), (b"\xc1", b"\x01")):
        tail = b"\xff" * DEPTH_MAX if opening == b"\x9f" else b""
        assert decode(opening * (DEPTH_MAX - 1) + closing + tail) is not None
    for opening in (b"\x81", b"\x9f", b"\xbf\x61a", b"\xa1\x61a", b"\xc1"):
        with pytest.raises(ValueError, match="deep"):
            decode(opening * (DEPTH_MAX + 1) + b"\x80")
        with pytest.raises(ValueError, match="deep"):
            decode((opening * BYTES_MAX)[:BYTES_MAX])


def test_sizes_are_bounded():
    body = b"\x5a" + (BYTES_MAX - 5).to_bytes(4) + bytes(BYTES_MAX - 5)
    assert decode(body) is not None
    with pytest.raises(ValueError, match="longer"):
        decode(body + b"\0")
    digits = b"\xc2\x58" + bytes((BIGNUM_BYTES_MAX,)) + b"\xff" * BIGNUM_BYTES_MAX
    assert decode(digits) == msgspec.Raw(str(2 ** (8 * BIGNUM_BYTES_MAX) - 1).encode())
    with pytest.raises(ValueError, match="number"):
        decode(b"\xc2\x58" + bytes((BIGNUM_BYTES_MAX + 1,)) + b"\xff" * (BIGNUM_BYTES_MAX + 1))


@given(st.binary(max_size=200))
def test_any_bytes_give_json_or_a_value_error(data):
    try:
        value = decode(data)
    except ValueError:
        return
    json.loads(msgspec.json.encode(value))


def test_members_of_a_call():
    put = operation(Target("cloudwatch", "", "PutMetricData", "smithy-rpc-v2-cbor"))
    assert put is not None
    head = RequestHead("POST", "/service/GraniteServiceVersion20100801/operation/x", "", {})
    body = bytes.fromhex("bf694e616d657370616365616e") + b"\x67Unknown\x01\xff"
    assert request_members(put, head, body) == {"Namespace": "n"}
    assert request_members(put, head, b"") == {}
    assert request_members(put, head, b"\x80") is None
    assert request_members(put, head, body[:-1]) is None


def test_services_of_json_speak_cbor_with_some_sdks():
    get = operation(Target("kinesis", "", "GetShardIterator", "json"))
    assert get is not None
    kind = {"content-type": "application/x-amz-cbor-1.1"}
    head = RequestHead("POST", "/", "", kind)
    time = b"\x69Timestamp\xc1\x1b" + (1_688_992_065_250).to_bytes(8)
    body = b"\xbf\x6aStreamName\x61s" + time + b"\xff"
    assert request_members(get, head, body) == {"StreamName": "s", "Timestamp": 1_688_992_065.25}
    body = body.replace((1_688_992_065_250).to_bytes(8), (1_688_992_065_000).to_bytes(8))
    assert request_members(get, head, body) == {"StreamName": "s", "Timestamp": 1_688_992_065}
    assert request_members(get, head, b'{"StreamName":"s"}') is None
    answer = b"\xa1\x6dShardIterator\x61i"
    assert response_members(get, 200, kind, answer) == {"ShardIterator": "i"}
