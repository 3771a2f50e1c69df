# SPDX-License-Identifier: Apache-2.0
"""The coverage map in figures: sums over the operations of a service, or of all."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

from opentrail.capture.coverage import Covered


@dataclass(slots=True)
class Figures:
    """How many operations there are, and of each kind."""

    service: str
    """Empty for a sum of services."""
    operations: int = 0
    management: int = 0
    data: int = 0
    counted: int = 0
    """Not recorded, as AWS does not record them."""
    refused: int = 0
    """Not passed on: the request is a stream of events."""
    read_only: int = 0
    redacted: int = 0
    """With a member that records hide or leave out."""
    by_table: int = 0
    """readOnly said by OpenTrail's tables."""
    by_model: int = 0
    """readOnly said by the service's model."""

    def add(self, one: Covered) -> None:
        """Count one operation."""
        self.operations += 1
        self.counted += one.recorded == "counted"
        self.management += one.recorded == "yes" and one.category == "Management"
        self.data += one.recorded == "yes" and one.category == "Data"
        self.refused += one.call == "refused"
        self.read_only += one.read_only
        self.redacted += bool(one.hidden or one.left_out)
        self.by_table += one.read_only_by == "table"
        self.by_model += one.read_only_by == "model"

    def __iadd__(self, other: Self) -> Self:
        """Add the figures of another service."""
        for part in fields(self):
            if part.name != "service":
                setattr(self, part.name, getattr(self, part.name) + getattr(other, part.name))
        return self


def figures_of(operations: Iterable[Covered]) -> Figures:
    """Return the sums over the operations of one service."""
    found = Figures("")
    for one in operations:
        found.service = one.service
        found.add(one)
    return found


def figures_of_all(each: Iterable[Figures]) -> Figures:
    """Return the sums over services."""
    total = Figures("")
    for one in each:
        total += one
    return total
