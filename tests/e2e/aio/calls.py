# SPDX-License-Identifier: Apache-2.0
"""Calls of aiobotocore, many at once, through OpenTrail: one line of JSON for each.

Run by the tests in an environment of its own: its botocore is not the one of OpenTrail.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

AT_ONCE = 20
BODY_BYTES = 5 * 1024 * 1024


@asynccontextmanager
async def client(service: str) -> AsyncIterator[Any]:
    config = AioConfig(
        retries={"total_max_attempts": 1},
        inject_host_prefix=False,
        s3={"addressing_style": "path"},
    )
    async with get_session().create_client(
        service,
        endpoint_url=os.environ["OPENTRAIL_ENDPOINT"],
        region_name="us-east-1",
        aws_access_key_id="AKIAQAAAAAAAAAAAAAAA",
        aws_secret_access_key="made-up",
        config=config,
    ) as found:
        yield found


def say(label: str, answer: Any) -> None:
    sys.stdout.write(json.dumps({"label": label, "answer": answer}, default=str) + "\n")


async def topics() -> None:
    async with client("sns") as sns:
        made = await asyncio.gather(*(sns.create_topic(Name=f"t{n}") for n in range(AT_ONCE)))
    say("topics", [answer["TopicArn"].rpartition(":")[2] for answer in made])


async def objects() -> None:
    async with client("s3") as s3:
        await s3.create_bucket(Bucket="aio")
        bodies = [bytes((n,)) * BODY_BYTES for n in range(3)]
        await asyncio.gather(
            *(s3.put_object(Bucket="aio", Key=f"k{n}", Body=body) for n, body in enumerate(bodies))
        )
        for n, body in enumerate(bodies):
            answer = await s3.get_object(Bucket="aio", Key=f"k{n}")
            got = b"".join([piece async for piece in answer["Body"].iter_chunks()])
            say("object", got == body)


async def others() -> None:
    async with client("ec2") as ec2:
        try:
            await ec2.describe_vpcs(VpcIds=["vpc-absent"])
        except ClientError as error:
            say("ec2 error", error.response["Error"]["Code"])
    async with client("cloudwatch") as cloudwatch:
        data = [{"MetricName": f"m{n}", "Value": n} for n in range(500)]
        answer = await cloudwatch.put_metric_data(Namespace="aio", MetricData=data)
        say("cloudwatch", answer["ResponseMetadata"]["HTTPStatusCode"])
    async with client("lambda") as functions:
        say("lambda", (await functions.list_functions())["Functions"])


async def main() -> None:
    await topics()
    await objects()
    await others()


asyncio.run(main())
