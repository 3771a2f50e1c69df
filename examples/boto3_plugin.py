# SPDX-License-Identifier: Apache-2.0
"""A program whose AWS calls are recorded where they are made, retries and failures included.

Without the two lines about OpenTrail, BOTOCORE_EXPERIMENTAL__PLUGINS=opentrail=opentrail.sdk.botocore
in the environment does the same. Calls that go through OpenTrail are recorded there already: this is
for those that go elsewhere. ``python boto3_plugin.py [ENDPOINT_URL]``
"""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import opentrail.sdk.botocore

opentrail.sdk.botocore.instrument()

sagemaker = boto3.client(
    "sagemaker",
    region_name="us-east-1",
    endpoint_url=sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:9",
    config=Config(retries={"mode": "standard", "total_max_attempts": 2}),
)
try:
    sagemaker.create_model(
        ModelName="churn", ExecutionRoleArn="arn:aws:iam::123456789012:role/churn"
    )
    print("created")
except (BotoCoreError, ClientError) as error:
    print("failed, and recorded:", type(error).__name__)
