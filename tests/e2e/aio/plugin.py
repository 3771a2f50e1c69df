# SPDX-License-Identifier: Apache-2.0
"""Calls of aiobotocore past OpenTrail, recorded by the plugin: many at once, retried, and failed.

Run by the tests in an environment of its own, with OpenTrail's SDK on the path.
"""

import asyncio
import os
import sys
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError, EndpointConnectionError

from opentrail.sdk import Recorder
from opentrail.sdk.botocore import instrument

AT_ONCE = 20


async def main(trail: Recorder) -> None:
    session = get_session()
    instrument(session, recorder=trail)
    given: dict[str, Any] = {
        "region_name": "eu-west-1",
        "aws_access_key_id": "AKIAQAAAAAAAAAAAAAAA",
        "aws_secret_access_key": "made-up",
        "config": AioConfig(retries={"total_max_attempts": 2}),
    }
    moto = os.environ["UPSTREAM"]
    async with session.create_client("sns", endpoint_url=moto, **given) as sns:
        await asyncio.gather(*(sns.create_topic(Name=f"aio{n}") for n in range(AT_ONCE)))
    async with session.create_client("ec2", endpoint_url=moto, **given) as ec2:
        try:
            await ec2.describe_vpcs(VpcIds=["vpc-absent"])
        except ClientError:
            pass
    nowhere = "http://127.0.0.1:1"
    async with session.create_client("sagemaker", endpoint_url=nowhere, **given) as sagemaker:
        try:
            await sagemaker.delete_model(ModelName="m")
        except EndpointConnectionError:
            pass


with Recorder() as recorder:
    asyncio.run(main(recorder))
    if not recorder.flush() or recorder.failures:
        sys.exit(f"{recorder.counts} {recorder.failures}")
