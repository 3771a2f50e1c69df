# SPDX-License-Identifier: Apache-2.0
"""The upstream's SageMaker, asked about tuning jobs over botocore clients.

SageMaker API Reference: DescribeHyperParameterTuningJob, ListTrainingJobsForHyperParameterTuningJob.
It is asked directly, not through OpenTrail: these calls are nobody's, and leave no events.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol, cast

import msgspec

from opentrail.capture.tuning_jobs import Child, Family
from opentrail.errors import ClientError, Unavailable
from opentrail.objects.driver import KEY_REFUSED, ClientSpec, make_client
from opentrail.objects.s3 import CALL_ERRORS, mapped

PAGE_CHILDREN = 100
"""As many as SageMaker lists at once."""
CHILDREN_MAX = 10_000
"""Of one tuning job: over ten times SageMaker's quota of 750, and the end of an endless list."""
CLIENTS_MAX = 64
"""Accounts times regions in use at once; a client takes about a megabyte."""

Answer = Mapping[str, object]


class _Client(Protocol):
    def describe_hyper_parameter_tuning_job(self, **arguments: object) -> Answer: ...

    def list_training_jobs_for_hyper_parameter_tuning_job(self, **arguments: object) -> Answer: ...


class _Job(msgspec.Struct, frozen=True):
    arn: str = msgspec.field(name="HyperParameterTuningJobArn")
    status: str = msgspec.field(name="HyperParameterTuningJobStatus")


class _Child(msgspec.Struct, frozen=True, rename="pascal"):
    training_job_name: str
    training_job_arn: str
    training_job_status: str
    creation_time: datetime
    training_end_time: datetime | None = None


class _Page(msgspec.Struct, frozen=True, rename="pascal"):
    training_job_summaries: list[_Child]
    next_token: str | None = None


class SageMaker:
    """``capture.tuning_jobs.TuningJobs``. For one thread."""

    def __init__(self, endpoint: str, profiles: Mapping[str, str]) -> None:
        """``profiles``: AWS profiles by account; "" is the one of every other account."""
        self._endpoint = endpoint
        self._profiles = profiles
        self._clients: dict[tuple[str, str], _Client] = {}

    def may_ask(self, account: str) -> bool:
        """See ``TuningJobs``."""
        return bool(self._endpoint and self._profile(account))

    def _profile(self, account: str) -> str:
        return self._profiles.get(account) or self._profiles.get("", "")

    def family(self, account: str, region: str, name: str) -> Family:
        """See ``TuningJobs``. The job's status is from before its training jobs were listed."""
        place = self._profile(account), region
        try:
            client = self._client(*place)
            job = msgspec.convert(
                client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name), _Job
            )
            return Family(job.arn, job.status, _children(client, name))
        except msgspec.ValidationError as error:
            raise Unavailable("SageMaker answered what cannot be read") from error
        except CALL_ERRORS as error:
            found = mapped(error, "SageMaker")
            if isinstance(found, ClientError) and found.code in KEY_REFUSED:
                self._clients.pop(place, None)  # the key may have been rotated
            raise found from error

    def _client(self, profile: str, region: str) -> _Client:
        found = self._clients.get((profile, region))
        if found is None:
            if len(self._clients) >= CLIENTS_MAX:
                self._clients.clear()
            spec = ClientSpec("sagemaker", region, self._endpoint, profile)
            found = cast("_Client", make_client(spec))
            self._clients[profile, region] = found
        return found


def _children(client: _Client, name: str) -> list[Child]:
    """Return all training jobs. Raises: Unavailable: the list does not end."""
    children: list[Child] = []
    more: dict[str, str] = {}
    while len(children) <= CHILDREN_MAX:
        answer = client.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, MaxResults=PAGE_CHILDREN, **more
        )
        page = msgspec.convert(answer, _Page)
        children += [_child(each) for each in page.training_job_summaries]
        if not page.next_token:
            return children
        more = {"NextToken": page.next_token}
    raise Unavailable(f"a tuning job has more than {CHILDREN_MAX} training jobs")


def _child(shown: _Child) -> Child:
    ended = shown.training_end_time
    return Child(
        name=shown.training_job_name,
        arn=shown.training_job_arn,
        status=shown.training_job_status,
        created_ms=_ms(shown.creation_time),
        ended_ms=_ms(ended) if ended is not None else None,
    )


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
