# SPDX-License-Identifier: Apache-2.0
"""Puts together what lies of one chain at several places of a bucket.

A trail that is given another prefix while it logs, or becomes an organization's, goes on with its chain
below another root: its digests name each other across the two, and list what was delivered to both.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from operator import attrgetter

from opentrail.verification.bucketkeys import ChainName, DigestName, Whose, digest_name
from opentrail.verification.examine import Examiner

TURNS_MAX = 16
"""So many times a chain is looked for the root that it came from, the newest first: a prefix is changed
a few times in years, and trails of one name at two roots take turns with each digest."""

Digests = Mapping[ChainName, Sequence[DigestName]]
"""The newest first."""


def put_together(
    digests: Digests, examiner: Examiner
) -> tuple[dict[ChainName, list[DigestName]], dict[ChainName, ChainName]]:
    """Return whole chains, by the names that they have at their newest digests, and which is of which.

    Raises: Unavailable.
    """
    alike: dict[Whose, list[ChainName]] = defaultdict(list)
    for name in digests:
        alike[name.whose].append(name)
    names = {name: name for name in digests}
    for group in alike.values():
        if len(group) > 1:
            names |= _joined({name: digests[name] for name in group}, examiner)
    whole: dict[ChainName, list[DigestName]] = defaultdict(list)
    for name, its in digests.items():
        whole[names[name]] += its
    for each in whole.values():
        each.sort(key=attrgetter("end_s"), reverse=True)
    return dict(whole), names


def _joined(digests: Digests, examiner: Examiner) -> dict[ChainName, ChainName]:
    """Return which chains of one trail's name are one."""
    every = sorted((each for its in digests.values() for each in its), key=attrgetter("end_s"))
    turns = [newer for older, newer in pairwise(every) if older.chain != newer.chain]
    names = {name: name for name in digests}
    for newer in turns[-TURNS_MAX:]:
        before = _before(newer, examiner)
        if before in names and names[before] != names[newer.chain]:
            ends = {digests[names[each]][0].end_s: names[each] for each in (before, newer.chain)}
            parts = set(ends.values())
            names |= {each: ends[max(ends)] for each, whole in names.items() if whole in parts}
    return names


def _before(newer: DigestName, examiner: Examiner) -> ChainName | None:
    """Return in which chain the digest lies that ``newer`` names."""
    digest = examiner.digest(newer.key).digest
    if digest is None or digest.previous_digest_s3_bucket != digest.digest_s3_bucket:
        return None
    before = digest_name(digest.previous_digest_s3_object or "")
    return None if before is None else before.chain
