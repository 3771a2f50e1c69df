# SPDX-License-Identifier: Apache-2.0
"""What a server answers to ``POST /_opentrail/import``: written by front, read by the importing command."""

import msgspec


class Refused(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record that was not taken in."""

    index: int
    reason: str
    again: bool = False
    """Whether it may be taken another time, as when the key has another policy."""


class ImportAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What the sender is told; everything not named here is in the log now."""

    log_id: str
    imported: int
    duplicates: list[int]
    """Numbers of records that the log had already."""
    refused: list[Refused]
