# SPDX-License-Identifier: Apache-2.0
"""The keys that sign: made once, kept private, found again, told as CloudTrail tells them."""

import hashlib
import stat
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from support.log_files import Fault
from support.memory_state import MemoryState

from opentrail.errors import Corrupt, Unavailable
from opentrail.trails.keys import BACKDATED_S, OVERLAP_S, VALIDITY_S, DigestKeys

END_S = 1_700_000_000


@pytest.fixture
def state():
    return MemoryState()


@pytest.fixture
def keys(tmp_path, state):
    return DigestKeys.open(tmp_path / "keys", state)


def loaded(public):
    """The public key; PKCS #1 comes back as it went in, so it was no other form."""
    key = load_der_public_key(public.value)
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.public_bytes(Encoding.DER, PublicFormat.PKCS1) == public.value
    return key


def test_none_is_made_before_it_is_needed(tmp_path, keys):
    assert keys.public_keys(0, 10**15) == []
    assert list((tmp_path / "keys").iterdir()) == []


def test_the_first_use_makes_one_that_only_its_owner_reads(tmp_path, keys):
    keys.signing_key(END_S)
    (path,) = (tmp_path / "keys").iterdir()
    assert path.name == f"digest-0001-{END_S - BACKDATED_S}-{END_S + VALIDITY_S}.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_public_half_is_pkcs1_and_named_by_its_md5(keys):
    public = keys.signing_key(END_S).public
    assert keys.public_keys(END_S * 1000, END_S * 1000) == [public]
    assert public.fingerprint == hashlib.md5(public.value).hexdigest()
    numbers = loaded(public).public_numbers()
    assert (numbers.n.bit_length(), numbers.e, len(public.value)) == (2048, 65537, 270)


def test_it_signs_what_that_half_verifies_and_always_the_same(keys):
    key = keys.signing_key(END_S)
    signature = key.sign(b"text")
    assert signature == key.sign(b"text")
    how = padding.PKCS1v15(), hashes.SHA256()
    loaded(key.public).verify(bytes.fromhex(signature), b"text", *how)


def test_it_is_the_same_after_a_restart_and_with_an_empty_state(tmp_path, state, keys):
    first = keys.signing_key(END_S).public
    again = DigestKeys.open(tmp_path / "keys", state).signing_key(END_S).public
    assert again == first
    empty = MemoryState()
    assert DigestKeys.open(tmp_path / "keys", empty).public_keys(0, 10**15) == [first]


@pytest.mark.parametrize(
    ("end_s", "made"),
    [
        (END_S - BACKDATED_S, 1),
        (END_S - BACKDATED_S - 1, 2),
        (END_S + VALIDITY_S - 1, 1),
        (END_S + VALIDITY_S, 2),
    ],
)
def test_another_signs_when_the_first_is_not_valid(tmp_path, state, keys, end_s, made):
    keys.signing_key(END_S)
    number = keys.signing_key(end_s).number
    assert number == made
    again = DigestKeys.open(tmp_path / "keys", state)
    assert [again.signing_key(each).number for each in (END_S, end_s)] == [1, made]


def test_keys_are_listed_by_the_time_in_which_they_are_valid(keys):
    old = keys.signing_key(END_S).public
    assert keys.key_at(END_S + VALIDITY_S) is None
    new = keys.signing_key(END_S + VALIDITY_S).public
    assert keys.public_keys(0, 10**15) == [new, old]
    assert keys.public_keys(0, old.start_ms - 1) == []
    assert keys.public_keys(0, old.start_ms) == [old]
    assert keys.public_keys(old.end_ms, 10**15) == [new]
    assert keys.public_keys(new.end_ms, 10**15) == []


@pytest.mark.parametrize(
    ("end_s", "count"),
    [(END_S + VALIDITY_S - OVERLAP_S - 1, 1), (END_S + VALIDITY_S - OVERLAP_S, 2)],
)
def test_the_next_is_listed_before_it_signs(keys, end_s, count):
    first = keys.signing_key(END_S)
    assert keys.signing_key(end_s) is first
    known = keys.public_keys(end_s * 1000, end_s * 1000)
    assert len(known) == count
    assert known[-1] == first.public
    if count == 2:
        assert keys.signing_key(first.public.end_ms // 1000).public == known[0]


def test_a_year_of_keys_overlaps_and_each_is_valid_for_thirty_days(keys):
    signed = [keys.signing_key(END_S + day * 86_400) for day in range(365)]
    listed = keys.public_keys(0, 10**15)[::-1]
    assert [signer.number for signer in signed] == sorted(signer.number for signer in signed)
    for old, new in pairwise(listed):
        assert old.end_ms - new.start_ms == OVERLAP_S * 1000
        assert new.end_ms - new.start_ms == VALIDITY_S * 1000
    assert len(listed) - len({signer.number for signer in signed}) in (0, 1)
    assert [keys.signing_key(END_S + day * 86_400) for day in range(365)] == signed


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_key_that_could_not_be_published_signs_nothing(tmp_path, state, keys, fault):
    state.fault = fault
    with pytest.raises(Unavailable):
        keys.signing_key(END_S)
    key = keys.signing_key(END_S)
    assert key.number == 1
    assert keys.public_keys(0, 10**15) == [key.public]
    assert len(list((tmp_path / "keys").iterdir())) == 1


def test_a_directory_that_is_none_says_so(tmp_path, state):
    (tmp_path / "keys").write_text("")
    with pytest.raises(Unavailable, match="keys cannot be used"):
        DigestKeys.open(tmp_path / "keys", state)


def test_a_directory_that_goes_away_says_so(tmp_path, keys):
    (tmp_path / "keys").rmdir()
    with pytest.raises(Unavailable, match="cannot be written"):
        keys.signing_key(END_S)


def test_a_file_that_holds_no_rsa_key_is_corrupt(tmp_path, state):
    path = tmp_path / "digest-0001-1-2.pem"
    path.write_bytes(b"no key")
    with pytest.raises(Corrupt, match="not a private key"):
        DigestKeys.open(tmp_path, state)
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(Corrupt, match="not an RSA key"):
        DigestKeys.open(tmp_path, state)


def test_other_files_are_left_alone(tmp_path, state):
    (tmp_path / "digest-0001-1-2.pem.tmp").write_bytes(b"half a key")
    (tmp_path / "notes.txt").write_bytes(b"")
    assert DigestKeys.open(tmp_path, state).public_keys(0, 10**15) == []


def test_a_key_does_not_show_itself(keys):
    key = keys.signing_key(END_S)
    assert repr(key) == f"SigningKey(1, {key.public.fingerprint})"
