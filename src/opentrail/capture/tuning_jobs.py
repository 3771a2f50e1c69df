# SPDX-License-Identifier: Apache-2.0
"""Tuning jobs and their training jobs, who knows of them, and the record of one that was started.

AWS publishes neither names nor details of such events: those here are OpenTrail's own, docs/records.md.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from opentrail.capture.services import rules_for
from opentrail.event.service_event import ServiceEvent, service_event

SOURCE = "sagemaker.amazonaws.com"
_ENDED = frozenset({"Completed", "Failed", "Stopped", "DeleteFailed"})


class Child(msgspec.Struct, frozen=True):
    """A training job of a tuning job, as the upstream lists it."""

    name: str
    arn: str
    status: str
    """Of the training job: "InProgress", "Stopped" …"""
    created_ms: int
    ended_ms: int | None = None


class Family(msgspec.Struct, frozen=True):
    """A tuning job and all the training jobs that it has started so far."""

    arn: str
    status: str
    children: Sequence[Child]

    def has_ended(self) -> bool:
        """Return whether neither the job nor any of its training jobs runs any more."""
        return self.status in _ENDED and all(child.status in _ENDED for child in self.children)


class TuningJobs(Protocol):
    """The upstream, asked about tuning jobs."""

    def may_ask(self, account: str) -> bool:
        """Return whether there are credentials for ``account``."""
        ...

    def family(self, account: str, region: str, name: str) -> Family:
        """Return the tuning job ``name`` with its training jobs.

        Raises: ClientError: the upstream's own refusal. Unavailable: it did not answer.
        """
        ...


def training_event(
    event_id: str, name: str, place: tuple[str, str], at_ms: int, tuning_arn: str, child: Child
) -> bytes:
    """Return the record that a training job was started or stopped (``name``) at ``at_ms``.

    ``place`` is the account and the region.
    """
    details = {
        "hyperParameterTuningJobArn": tuning_arn,
        "trainingJobName": child.name,
        "trainingJobArn": child.arn,
        "status": child.status,
    }
    version = rules_for("sagemaker").event_version
    return service_event(ServiceEvent(version, SOURCE, name, *place, at_ms, event_id, details))
