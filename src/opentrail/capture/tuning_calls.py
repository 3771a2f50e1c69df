# SPDX-License-Identifier: Apache-2.0
"""What the records of calls upon tuning jobs and their training jobs say of them."""

from typing import TypeVar

import msgspec

from opentrail.capture.call import Outcome
from opentrail.event.record import Record

_Some = TypeVar("_Some", bound=msgspec.Struct)


class Named(msgspec.Struct, frozen=True):
    """The names in requestParameters."""

    tuning_job: str = msgspec.field(name="hyperParameterTuningJobName", default="")
    training_job: str = msgspec.field(name="trainingJobName", default="")


class _Answer(msgspec.Struct, frozen=True):
    arn: str = msgspec.field(name="hyperParameterTuningJobArn", default="")


class _Marks(msgspec.Struct, frozen=True):
    outcome: str = ""


class _Marked(msgspec.Struct, frozen=True):
    marks: _Marks | None = msgspec.field(name="additionalEventData", default=None)


def named(record: Record) -> Named:
    """Return what the call named; of a request that was not kept, what its answer named."""
    given = _read(record.request_parameters, Named)
    if given.tuning_job or given.training_job:
        return given
    answer = _read(record.response_elements, _Answer)
    return Named(tuning_job=answer.arn.rpartition("/")[2])


def is_unknown(data: bytes) -> bool:
    """Return whether nobody knows what came of the call whose record is ``data``."""
    marks = _read(data, _Marked).marks
    return marks is not None and marks.outcome == Outcome.UNKNOWN.value


def _read(data: bytes | msgspec.Raw, kind: type[_Some]) -> _Some:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError:
        return kind()
