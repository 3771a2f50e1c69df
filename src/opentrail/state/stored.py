# SPDX-License-Identifier: Apache-2.0
"""What an entry of the state store holds, or how to go on where nobody can read it."""

from typing import TypeVar

import msgspec

from opentrail.errors import Corrupt
from opentrail.state.base import Entry

HINT = (
    "restore state.db from a backup while no server runs, an old one too: it delivers again, the "
    "same bytes to the same keys"
)
Stored = TypeVar("Stored")


def read(entry: Entry, kind: type[Stored]) -> Stored:
    """Return the JSON value of an entry. Raises: Corrupt: it is none of this kind."""
    try:
        return msgspec.json.decode(entry.value, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"{entry.key} cannot be read: {error}", "state.db", HINT) from error
