# SPDX-License-Identifier: Apache-2.0
"""Members that have one name in the record are both in it."""

import pytest

from opentrail.capture.element_values import joined


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ({"items": [1]}, {"items": [2, 1]}, {"items": [1, 2, 1]}),
        ({}, {"items": [1]}, {"items": [1]}),
        ({"items": [1]}, {}, {"items": [1]}),
        ({}, {}, {}),
        (["a", "b"], "a", ["a", "b"]),
        ("a", ["a", "b"], ["a", "b"]),
        ("a", "a", "a"),
        ("a", "b", ["a", "b"]),
    ],
)
def test_nothing_of_two_members_is_lost(first, second, both):
    assert joined(first, second) == both
