# SPDX-License-Identifier: Apache-2.0
"""Automatic model tuning: a tuning job whose training jobs appear one after another, and stop.

Children are not started by a timer either: whoever asks for anything lets ``advance`` start those
whose time has come. Names of children: "ListTrainingJobsForHyperParameterTuningJob" (API reference).
"""

from collections.abc import Iterator

from opentrail.clock import Ids
from opentrail.sandbox.crud import halt, running
from opentrail.sandbox.nouns import JOB
from opentrail.sandbox.request import Pace, Request
from opentrail.sandbox.shapes import Members
from opentrail.sandbox.state import Resource, Scope, Step

CHILDREN_DEFAULT = 4
"""Training jobs of a tuning job that sets no limit: AWS has it run until it converges."""
CHILDREN_MAX = 750
"""Training jobs of one tuning job: SageMaker's quota."""

_COUNTED = ("Completed", "InProgress", "Stopped")
"""Statuses of children that the counters know; a stopping one is still in progress."""


def structure(members: Members, name: str) -> Members:
    """Return a structure member, or an empty one."""
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def check(request: Request) -> None:
    """Check a tuning job's limits and its definitions. Raises: ClientError."""
    jobs, parallel = _limits(request.members)
    if not 1 <= jobs <= CHILDREN_MAX or not 1 <= parallel <= jobs:
        text = f"MaxNumberOfTrainingJobs must be 1 to {CHILDREN_MAX} and not below the parallel."
        raise request.bad_input(text)
    definitions = _definitions(request.members)
    if not definitions:
        raise request.bad_input("A training job definition is required.")
    try:
        for definition in definitions:
            _tuned(_ranges(request.members, definition), 0.0)
    except (ValueError, OverflowError):
        raise request.bad_input("MinValue and MaxValue must be numbers.") from None
    request.scope.room_for(jobs + 1, request.limit_code)


def created(request: Request, job: Resource) -> Members:
    """Plan the children of a new tuning job."""
    jobs, parallel = _limits(job.members)
    rounds = -(-jobs // parallel)
    job.steps = (
        Step(request.now_ms, JOB.first),
        Step(request.now_ms + rounds * request.pace.job_ms, JOB.settled),
    )
    request.scope.tuning[job.arn] = 0
    return {}


def advance(scope: Scope, now_ms: int, pace: Pace, ids: Ids) -> None:
    """Start the children whose time has come, as of that time."""
    for arn, started in list(scope.tuning.items()):
        job = scope.resources[arn]
        jobs, parallel = _limits(job.members)
        due = min(jobs, ((now_ms - job.created_ms) // pace.job_ms + 1) * parallel)
        for number in range(started, due):
            _start_child(scope, job, number, pace, ids)
        if due == jobs:
            del scope.tuning[arn]
        else:
            scope.tuning[arn] = max(started, due)


def stopped(request: Request, job: Resource) -> Members:
    """Start no more children, and stop those that run."""
    request.scope.tuning.pop(job.arn, None)
    for child in children(request.scope, job.arn):
        if running(JOB, child.status(request.now_ms)):
            halt(JOB, child, request)
    return {}


def described(request: Request, job: Resource) -> Members:
    """Return the counters and the best training job."""
    statuses = [child.status(request.now_ms) for child in children(request.scope, job.arn)]
    statuses = [JOB.first if status == JOB.stopping else status for status in statuses]
    done = statuses.count(JOB.settled)
    config = structure(job.members, "HyperParameterTuningJobConfig")
    shown: Members = {
        "Strategy": config.get("Strategy"),
        "ResourceLimits": config.get("ResourceLimits"),
        "TrainingJobStatusCounters": {
            **{status: statuses.count(status) for status in _COUNTED},
            "RetryableError": 0,
            "NonRetryableError": 0,
        },
        "ObjectiveStatusCounters": {
            "Succeeded": done,
            "Pending": statuses.count(JOB.first),
            "Failed": 0,
        },
    }
    best = next(_completed(request, job), None)
    if best:
        shown["BestTrainingJob"] = {
            "TrainingJobName": best.members["TrainingJobName"],
            "TrainingJobArn": best.arn,
            "CreationTime": best.created_ms / 1000,
            "TrainingJobStatus": JOB.settled,
            "TunedHyperParameters": best.members["TunedHyperParameters"],
        }
    if not running(JOB, job.status(request.now_ms)):
        shown["HyperParameterTuningEndTime"] = job.steps[-1].from_ms / 1000
    return shown


def children(scope: Scope, tuning_arn: str) -> Iterator[Resource]:
    """Iterate over the training jobs that a tuning job has started, in their order."""
    jobs = scope.of("TrainingJob")
    return (job for job in jobs if job.members.get("TuningJobArn") == tuning_arn)


def _completed(request: Request, job: Resource) -> Iterator[Resource]:
    jobs = children(request.scope, job.arn)
    return (child for child in jobs if child.status(request.now_ms) == JOB.settled)


def _limits(members: Members) -> tuple[int, int]:
    """Return how many training jobs there are to be, and how many at a time."""
    config = structure(members, "HyperParameterTuningJobConfig")
    limits = structure(config, "ResourceLimits")
    parallel = limits.get("MaxParallelTrainingJobs")
    assert isinstance(parallel, int)
    jobs = limits.get("MaxNumberOfTrainingJobs", max(CHILDREN_DEFAULT, parallel))
    assert isinstance(jobs, int)
    return jobs, parallel


def _definitions(members: Members) -> list[Members]:
    several = members.get("TrainingJobDefinitions")
    listed = several if isinstance(several, list) else [members.get("TrainingJobDefinition")]
    return [item for item in listed if isinstance(item, dict)]


def _start_child(scope: Scope, job: Resource, number: int, pace: Pace, ids: Ids) -> None:
    """Make training job ``number`` of a tuning job, as of the moment that it was due."""
    jobs, parallel = _limits(job.members)
    definitions = _definitions(job.members)
    definition = definitions[number % len(definitions)]
    begins_ms = job.created_ms + number // parallel * pace.job_ms
    tuned = _tuned(_ranges(job.members, definition), number / jobs)
    name = f"{job.members['HyperParameterTuningJobName']}-{number + 1:03d}"
    name = f"{name}-{ids.random_bytes(4).hex()}"
    members: Members = {
        **definition,
        "TrainingJobName": name,
        "TrainingJobDefinitionName": definition.get("DefinitionName"),
        "HyperParameterTuningJobName": job.members["HyperParameterTuningJobName"],
        "TuningJobArn": job.arn,
        "TunedHyperParameters": tuned,
        "HyperParameters": structure(definition, "StaticHyperParameters") | tuned,
    }
    arn = f"{job.arn.partition(':hyper-parameter')[0]}:training-job/{name.lower()}"
    child = scope.add("TrainingJob", arn, members, begins_ms)
    child.steps = Step(begins_ms, JOB.first), Step(begins_ms + pace.job_ms, JOB.settled)


def _ranges(members: Members, definition: Members) -> Members:
    config = structure(members, "HyperParameterTuningJobConfig")
    return structure(config, "ParameterRanges") or structure(definition, "HyperParameterRanges")


def _tuned(ranges: Members, share: float) -> Members:
    """Return a value of each range: ``share`` of the way from its least to its greatest."""
    tuned: Members = {}
    for kind, listed in ranges.items():
        for item in listed if isinstance(listed, list) else ():
            tuned[item["Name"]] = _value(kind, item, share)
    return tuned


def _value(kind: str, item: Members, share: float) -> str:
    values = item.get("Values")
    if isinstance(values, list) and values:
        return str(values[int(share * len(values))])
    if "MinValue" not in item:
        return str(item.get("ValueHint", ""))
    least, greatest = float(str(item["MinValue"])), float(str(item["MaxValue"]))
    value = least + (greatest - least) * share
    return str(int(value)) if kind.startswith("Integer") else str(value)
