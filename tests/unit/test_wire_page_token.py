# SPDX-License-Identifier: Apache-2.0
"""Page tokens: what was sealed comes back, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.errors import ClientError
from opentrail.wire.page_token import seal, unseal

KEY = b"k" * 32
PLACES = st.tuples(
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.integers(min_value=0, max_value=2**64 - 1),
)


def refused(key, parameters, token):
    with pytest.raises(ClientError) as raised:
        unseal(key, parameters, token)
    return raised.value.code == "InvalidNextTokenException"


@given(PLACES, st.binary())
def test_a_token_gives_back_its_place(place, parameters):
    assert unseal(KEY, parameters, seal(KEY, parameters, place)) == place


@given(PLACES, st.binary(), st.data())
def test_any_altered_bit_is_refused(place, parameters, data):
    token = bytearray(seal(KEY, parameters, place).encode())
    token[data.draw(st.integers(0, len(token) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert refused(KEY, parameters, token.decode("latin-1"))


@given(PLACES, st.binary(), st.binary())
def test_other_parameters_or_another_key_are_refused(place, parameters, other):
    token = seal(KEY, parameters, place)
    assert refused(b"K" * 32, parameters, token)
    if other != parameters:
        assert refused(KEY, other, token)


@given(st.text())
def test_junk_is_refused(junk):
    assert refused(KEY, b"", junk)


@pytest.mark.parametrize(
    "change", [str.swapcase, lambda t: t + "=", lambda t: t + "\n", lambda t: t[:-1]]
)
def test_another_spelling_of_a_token_is_refused(change):
    assert refused(KEY, b"", change(seal(KEY, b"", (1, 2))))


def test_both_spellings_of_base64_are_not_one_token():
    tokens = (seal(KEY, b"", (n, n)) for n in range(1000))
    token = next(token for token in tokens if "-" in token)
    assert refused(KEY, b"", token.replace("-", "+"))
