# SPDX-License-Identifier: Apache-2.0
"""Header fields as a record reads them: nothing that was sent is hidden, nothing costs memory."""

import gzip
import ipaddress
import tracemalloc

import pytest

from opentrail.capture.arrival import address_in, arrive
from opentrail.capture.call import Body, plain
from opentrail.capture.headers import NAMES, NAMES_KEPT_MAX, joined_map, text_map


def test_no_value_of_a_header_that_repeats_is_hidden():
    sent = [(b"x-amz-acl", b" private "), (b"host", b"x"), (b"x-amz-acl", b"public-read")]
    assert arrive(("PUT", "/b/k", ""), sent, "192.0.2.1", ()).head.headers == {
        "x-amz-acl": "private,public-read",
        "host": "x",
    }


@pytest.mark.parametrize(
    ("peer", "hops", "source"),
    [
        ("10.0.0.1", "198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, ::ffff:198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7:51234, ::ffff:10.1.2.3", "198.51.100.7"),
        ("10.0.0.1", "[2001:DB8::1]:443, 10.1.2.3:80", "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.1", "198.51.100.7, [10.1.2.3", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, 10.1.2.3:", "10.0.0.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
    ],
)
def test_a_client_behind_proxies_is_named_by_its_address_alone(peer, hops, source):
    raw = [(b"x-forwarded-for", hops.encode())]
    trusted = [ipaddress.ip_network("10.0.0.0/8")]
    assert arrive(("GET", "/", ""), raw, peer, trusted).source_ip == source


def test_the_other_end_of_a_socket_for_ipv6_and_ipv4_is_named_as_what_it_is():
    assert address_in("::ffff:10.0.0.1") == "10.0.0.1"
    assert address_in("::1") == "::1"
    assert address_in("fe80::1%eth0") == "fe80::1%eth0"
    assert address_in("") == ""


@pytest.mark.parametrize(
    ("coding", "read"),
    [
        *(("gzip", True), ("GZIP", True), ("identity,gzip", True), ("gzip, identity", True)),
        *(("", False), ("identity", False), ("gzip,gzip", False), ("gzip,aws-chunked", False)),
    ],
)
def test_a_gzipped_body_is_read_whatever_stands_beside_it(coding: str, *, read: bool):
    packed = gzip.compress(b"{}")
    body = plain(Body(packed, len(packed)), {"content-encoding": coding})
    assert body.data == (b"{}" if read else packed)


def test_blanks_around_a_value_are_no_part_of_it():
    sent = [(b"x-amz-target", b" SageMaker.DeleteModel \t"), (b"a", b"1 "), (b"a", b"\t2 ")]
    assert text_map(sent[:1]) == {"x-amz-target": "SageMaker.DeleteModel"}
    assert joined_map(sent) == {"x-amz-target": "SageMaker.DeleteModel", "a": "1,2"}


def test_long_names_are_not_remembered():
    tracemalloc.start()
    for number in range(200):
        assert NAMES[b"X-%d" % number + b"y" * 50_000][1].startswith(f"x-{number}y")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000
    assert len(NAMES) <= NAMES_KEPT_MAX
