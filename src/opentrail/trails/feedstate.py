# SPDX-License-Identifier: Apache-2.0
"""How far copies of records are: data, kept in state, one for each target and trail or account."""

import msgspec

from opentrail.trails.trail import Trail

FEED_PREFIX = "feed/"


class Feed(msgspec.Struct, frozen=True):
    """A target's own place in the log. State: ``feed_key``."""

    position: int
    """Everything before it was copied, or is not to be."""
    trails: tuple[Trail, ...] = ()
    """As they are at ``position``: the one, or all of the account that are not deleted."""


class Seen(msgspec.Struct, frozen=True):
    """How far the log was looked through for trails that want copies. State: ``seen_key``."""

    position: int = 0


def feed_prefix(owner: str) -> str:
    """Return what the keys of all feeds of a trail, or of an account, begin with."""
    return f"{FEED_PREFIX}{owner}/"


def feed_key(owner: str, target: str) -> str:
    """Return where state keeps a ``Feed``."""
    return f"{feed_prefix(owner)}{target}"


def seen_key(target: str) -> str:
    """Return where state keeps a target's ``Seen``."""
    return f"feeds/seen/{target}"
