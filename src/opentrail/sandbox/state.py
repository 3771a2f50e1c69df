# SPDX-License-Identifier: Apache-2.0
"""What exists in the stand-in: resources, tags and records of each account and region, in memory.

A status is not moved by a timer: it is a function of the time since the last change, so that a
test can move the clock instead of waiting.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from opentrail.errors import ClientError
from opentrail.sandbox.shapes import Members

RESOURCES_MAX = 20_000
"""Resources in one account and region: some 50 MB, far above what a demo or a test makes."""
SCOPES_MAX = 200
"""Pairs of account and region: more means that somebody invents accounts."""
TAGS_MAX = 50
"""Tags of one resource: AWS's own bound."""
RECORDS_MAX = 100_000
"""Records in all feature groups of one account and region."""


@dataclass(frozen=True, slots=True)
class Step:
    """A status that holds from a moment on."""

    from_ms: int
    status: str


@dataclass(slots=True)
class Resource:
    """One thing that a Create operation made."""

    noun: str
    """As in the operation's name: "TrainingJob"."""
    arn: str
    serial: int
    """Order of creation in its scope."""
    members: Members
    created_ms: int
    changed_ms: int
    steps: tuple[Step, ...] = ()
    """Statuses by rising time; empty when the resource has none."""

    def status(self, now_ms: int) -> str:
        """Return the status at ``now_ms``, or "" for a resource without one."""
        status = ""
        for step in self.steps:
            if step.from_ms > now_ms and status:
                break
            status = step.status
        return status


@dataclass(frozen=True, slots=True)
class FeatureRecord:
    """One record of a feature group's online store."""

    event_time: str
    features: tuple[Members, ...]
    deleted: bool = False


@dataclass(slots=True)
class Scope:
    """All that exists in one account and region."""

    account: str
    region: str
    resources: dict[str, Resource] = field(default_factory=dict)
    """By ARN, in the order of creation."""
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    """By ARN of the resource, then by key."""
    records: dict[str, dict[str, FeatureRecord]] = field(default_factory=dict)
    """By ARN of the feature group, then by the record identifier's value."""
    settings: dict[str, Members] = field(default_factory=dict)
    """DevOps Guru's configuration: one structure under each name."""
    tuning: dict[str, int] = field(default_factory=dict)
    """Tuning jobs that still start training jobs, by ARN: how many they have started."""
    records_count: int = 0
    serial: int = 0

    def of(self, noun: str) -> Iterator[Resource]:
        """Iterate over the resources of one noun, in the order of creation."""
        return (resource for resource in self.resources.values() if resource.noun == noun)

    def room_for(self, count: int, code: str) -> None:
        """Check that ``count`` more resources may be made. Raises: ClientError with ``code``."""
        if len(self.resources) + count > RESOURCES_MAX:
            raise ClientError(code, f"The stand-in holds at most {RESOURCES_MAX} resources.")

    def add(self, noun: str, arn: str, members: Members, now_ms: int) -> Resource:
        """Put a new resource where none has its ARN; the caller has checked both."""
        self.serial += 1
        resource = Resource(noun, arn, self.serial, members, now_ms, now_ms)
        self.resources[arn] = resource
        return resource

    def remove(self, arn: str) -> None:
        """Forget a resource, its tags, its records and its plans."""
        del self.resources[arn]
        self.tags.pop(arn, None)
        self.tuning.pop(arn, None)
        self.records_count -= len(self.records.pop(arn, ()))

    def tag(self, arn: str, tags: dict[str, str], code: str) -> None:
        """Set tags of a resource. Raises: ClientError with ``code`` when there are too many."""
        together = self.tags.get(arn, {}) | tags
        if len(together) > TAGS_MAX:
            raise ClientError(code, f"A resource has at most {TAGS_MAX} tags.")
        if together:
            self.tags[arn] = together


@dataclass(slots=True)
class State:
    """All accounts and regions."""

    scopes: dict[tuple[str, str], Scope] = field(default_factory=dict)

    def scope(self, account: str, region: str) -> Scope:
        """Return the scope of an account and region, made at its first use.

        Raises: ClientError when there are SCOPES_MAX others already.
        """
        found = self.scopes.get((account, region))
        if found is None:
            if len(self.scopes) >= SCOPES_MAX:
                text = f"The stand-in holds at most {SCOPES_MAX} accounts and regions."
                raise ClientError("ThrottlingException", text)
            found = self.scopes[account, region] = Scope(account, region)
        return found
