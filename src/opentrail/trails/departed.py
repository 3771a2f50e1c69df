# SPDX-License-Identifier: Apache-2.0
"""Trails that are deleted while something of theirs is still to be delivered, signed, told or copied.

No operation shows them any more: what waits for a bucket that is gone would wait unseen.
"""

from collections.abc import Iterable

import msgspec

from opentrail.state.base import State
from opentrail.state.stored import read
from opentrail.trails.progress import PROGRESS_PREFIX, Progress
from opentrail.trails.trail import Trail


def departed(state: State, live: Iterable[Trail]) -> list[Trail]:
    """Return the trails that are not among ``live`` and not done with. Raises: Unavailable."""
    ids = {trail.id for trail in live}
    found = (read(entry, Progress).trail for entry in state.scan(PROGRESS_PREFIX))
    return [
        msgspec.structs.replace(trail, logging=False, deleted=True)
        for trail in found
        if trail.id not in ids
    ]
