# SPDX-License-Identifier: Apache-2.0
"""A bucket that does not give an object, and one that gives nothing at all, are two things to ``verify``."""

from typing import cast

from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Bucket, Head
from opentrail.verification.inbucket import InBucket


class Patchy:
    """A bucket of which each get comes out as ``fates`` says."""

    def __init__(self, fates: str) -> None:
        self._fates = iter(fates)

    def get(self, key):
        if next(self._fates) == "x":
            raise Unavailable(f"{key} did not come")
        return Head(4, '"etag"', 0), b"data"


def outcomes(fates):
    bucket = cast("Bucket", Patchy(fates))
    source = InBucket("logs", lambda: bucket)
    for _ in fates:
        try:
            source.read("a key")
        except ClientError:
            yield "object"
        except Unavailable:
            yield "endpoint"
        else:
            yield "given"


def test_objects_that_are_not_given_are_told_one_by_one():
    assert list(outcomes("xx.xx.")) == ["object", "object", "given", "object", "object", "given"]


def test_an_endpoint_that_gives_nothing_three_times_in_a_row_ends_it():
    assert list(outcomes("xx.xxx")) == ["object", "object", "given", "object", "object", "endpoint"]
