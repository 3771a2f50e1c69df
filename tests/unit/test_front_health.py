# SPDX-License-Identifier: Apache-2.0
"""The server's own log says when the event log stops taking records, and when it takes them again."""

import pytest

from opentrail.front.health import Watch


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        (["", "", ""], []),
        (
            ["", "full", "fuller", ""],
            ["the event log takes no records: full", "the event log takes records again"],
        ),
        (["full", "full", ""], ["the event log takes records again"]),
    ],
)
def test_each_change_is_told_once(looks, told, caplog):
    """The first of the looks is the start, of which the operator is told elsewhere."""
    watch = Watch(looks[0])
    for why in looks[1:]:
        watch.look(why)
    assert caplog.messages == told
