# SPDX-License-Identifier: Apache-2.0
"""Train the zstd dictionary of the event log on synthetic records, and measure what it gives.

The records come from a seeded generator: calls of the four flagship services and their usual
neighbours, by IAM users, assumed roles, root and services. No real record is used, so that nobody's
data is in the dictionary that every log carries. Field order is that of delivered log files.

    python scripts/train_dictionary.py            write src/opentrail/eventlog/events.dict
    python scripts/train_dictionary.py --check    fail if that would change it
"""

import json
import random
import string
import sys
import time
from pathlib import Path

import zstandard

from opentrail.eventlog.blob import DICTIONARY_PATH, BlobCodec

DICTIONARY_BYTES = 32 * 1024
"""Measured: 64 KB saves 1 % more, 110 KB nothing beyond, 16 KB costs 3 %; each segment carries it."""
TRAINING_LEVEL = 3
"""Whatever level the log compresses at: another one makes another dictionary, and no better one."""
FAILED_SHARE = 0.1
MARKED_SHARE = 0.3
"""Of the records, those that carry one of OpenTrail's own marks."""
TLS_SHARE = 0.5
TRAINING_RECORDS = 8_000
HELD_OUT_RECORDS = 4_000
SEED = 20_261_101

ARN = "arn:aws:$service:$region:$account"
TRAINING = {
    "trainingJobName": "$name-$stamp",
    "algorithmSpecification": {
        "trainingImage": "$account.dkr.ecr.$region.amazonaws.com/$team:latest",
        "trainingInputMode": "File",
        "enableSageMakerMetricsTimeSeries": False,
    },
    "roleArn": "arn:aws:iam::$account:role/SageMakerExecutionRole",
    "outputDataConfig": {"s3OutputPath": "s3://$team-$account/output"},
    "resourceConfig": {
        "instanceType": "ml.m5.xlarge",
        "instanceCount": 1,
        "volumeSizeInGB": 30,
    },
    "stoppingCondition": {"maxRuntimeInSeconds": 3600},
}
Buffer = bytes | bytearray | memoryview
Row = tuple[str, str, str, object, object]
CALLS: list[Row] = [
    # (service, operation, "read" | "write" | type of a data event's resource, request, response)
    ("sagemaker", "CreateModel", "write", {"modelName": "$name", "primaryContainer": {"image": "$account.dkr.ecr.$region.amazonaws.com/$team:latest", "modelDataUrl": "s3://$team-$account/model.tar.gz", "environment": "HIDDEN_DUE_TO_SECURITY_REASONS"}, "executionRoleArn": "arn:aws:iam::$account:role/SageMakerExecutionRole"}, {"modelArn": ARN + ":model/$name"}),
    ("sagemaker", "CreateEndpointConfig", "write", {"endpointConfigName": "$name-config", "productionVariants": [{"variantName": "AllTraffic", "modelName": "$name", "initialInstanceCount": 1, "instanceType": "ml.m5.large", "initialVariantWeight": 1.0}]}, {"endpointConfigArn": ARN + ":endpoint-config/$name-config"}),
    ("sagemaker", "CreateEndpoint", "write", {"endpointName": "$name", "endpointConfigName": "$name-config"}, {"endpointArn": ARN + ":endpoint/$name"}),
    ("sagemaker", "UpdateEndpoint", "write", {"endpointName": "$name", "endpointConfigName": "$name-config-2"}, {"endpointArn": ARN + ":endpoint/$name"}),
    ("sagemaker", "DeleteEndpoint", "write", {"endpointName": "$name"}, None),
    ("sagemaker", "DescribeEndpoint", "read", {"endpointName": "$name"}, None),
    ("sagemaker", "ListEndpoints", "read", {"maxResults": 100, "sortBy": "CreationTime", "sortOrder": "Descending"}, None),
    ("sagemaker", "ListTrainingJobs", "read", None, None),
    ("sagemaker", "CreateTrainingJob", "write", TRAINING, {"trainingJobArn": ARN + ":training-job/$name-$stamp"}),
    ("sagemaker", "DescribeTrainingJob", "read", {"trainingJobName": "$name-$stamp"}, None),
    ("sagemaker", "StopTrainingJob", "write", {"trainingJobName": "$name-$stamp"}, None),
    ("sagemaker", "CreateHyperParameterTuningJob", "write", {"hyperParameterTuningJobName": "$name-tuning", "hyperParameterTuningJobConfig": {"strategy": "Bayesian", "hyperParameterTuningJobObjective": {"type": "Maximize", "metricName": "validation:auc"}, "resourceLimits": {"maxNumberOfTrainingJobs": 20, "maxParallelTrainingJobs": 2}}, "trainingJobDefinition": {k: v for k, v in TRAINING.items() if k != "trainingJobName"}}, {"hyperParameterTuningJobArn": ARN + ":hyper-parameter-tuning-job/$name-tuning"}),
    ("sagemaker", "CreateFeatureGroup", "write", {"featureGroupName": "$name", "recordIdentifierFeatureName": "customer_id", "eventTimeFeatureName": "event_time", "featureDefinitions": [{"featureName": "customer_id", "featureType": "String"}, {"featureName": "event_time", "featureType": "Fractional"}], "onlineStoreConfig": {"enableOnlineStore": True}, "roleArn": "arn:aws:iam::$account:role/SageMakerExecutionRole"}, {"featureGroupArn": ARN + ":feature-group/$name"}),
    ("sagemaker", "DescribeFeatureGroup", "read", {"featureGroupName": "$name"}, None),
    ("sagemaker", "PutRecord", "AWS::SageMaker::FeatureGroup", {"featureGroupName": "$name"}, None),
    ("sagemaker", "GetRecord", "AWS::SageMaker::FeatureGroup", {"featureGroupName": "$name"}, None),
    ("sagemaker", "DeleteRecord", "AWS::SageMaker::FeatureGroup", {"featureGroupName": "$name"}, None),
    ("sagemaker", "InvokeEndpoint", "AWS::SageMaker::Endpoint", None, None),
    ("personalize", "CreateDatasetGroup", "write", {"name": "$name"}, {"datasetGroupArn": ARN + ":dataset-group/$name"}),
    ("personalize", "ListDatasetGroups", "read", {"maxResults": 100}, None),
    ("personalize", "CreateSolution", "write", {"name": "$name", "datasetGroupArn": ARN + ":dataset-group/$name", "recipeArn": "arn:aws:personalize:::recipe/aws-user-personalization", "performAutoML": False}, {"solutionArn": ARN + ":solution/$name"}),
    ("personalize", "CreateCampaign", "write", {"name": "$name", "solutionVersionArn": ARN + ":solution/$name/$hex8", "minProvisionedTPS": 1}, {"campaignArn": ARN + ":campaign/$name"}),
    ("personalize", "DescribeCampaign", "read", {"campaignArn": ARN + ":campaign/$name"}, None),
    ("personalize", "CreateDatasetImportJob", "write", {"jobName": "$name", "datasetArn": ARN + ":dataset/$name/INTERACTIONS", "dataSource": {"dataLocation": "s3://$team-$account/interactions.csv"}, "roleArn": "arn:aws:iam::$account:role/PersonalizeRole"}, {"datasetImportJobArn": ARN + ":dataset-import-job/$name"}),
    ("devops-guru", "UpdateResourceCollection", "write", {"Action": "ADD", "ResourceCollection": {"CloudFormation": {"StackNames": ["$name"]}}}, None),
    ("devops-guru", "AddNotificationChannel", "write", {"Config": {"Sns": {"TopicArn": "arn:aws:sns:$region:$account:$team"}}}, {"Id": "$uuid"}),
    ("devops-guru", "ListInsights", "read", {"StatusFilter": {"Ongoing": {"Type": "REACTIVE"}}}, None),
    ("devops-guru", "DescribeInsight", "read", {"Id": "$uuid"}, None),
    ("devops-guru", "DescribeAccountHealth", "read", None, None),
    ("sts", "GetCallerIdentity", "read", None, None),
    ("sts", "AssumeRole", "read", {"roleArn": "arn:aws:iam::$account:role/$role", "roleSessionName": "$user", "durationSeconds": 3600}, {"credentials": {"accessKeyId": "ASIA$key", "expiration": "Nov 3, 2026, 11:20:30 AM", "sessionToken": "HIDDEN_DUE_TO_SECURITY_REASONS"}, "assumedRoleUser": {"assumedRoleId": "AROA$principal:$user", "arn": "arn:aws:sts::$account:assumed-role/$role/$user"}}),
    ("s3", "GetBucketLocation", "read", {"bucketName": "$team-$account", "location": "", "Host": "$team-$account.s3.$region.amazonaws.com"}, None),
    ("s3", "PutObject", "AWS::S3::Object", {"bucketName": "$team-$account", "key": "models/$name/model.tar.gz", "Host": "$team-$account.s3.$region.amazonaws.com"}, None),
    ("iam", "CreateRole", "write", {"roleName": "$role", "path": "/", "assumeRolePolicyDocument": '{"Version":"2012-10-17"}'}, {"role": {"path": "/", "roleName": "$role", "roleId": "AROA$principal", "arn": "arn:aws:iam::$account:role/$role"}}),
    ("cloudtrail", "LookupEvents", "read", {"maxResults": 50, "lookupAttributes": [{"attributeKey": "EventName", "attributeValue": "CreateEndpoint"}]}, None),
]  # fmt: skip
ERRORS = [
    ("ValidationException", 'Could not find endpoint "$name".'),
    ("AccessDeniedException", "User: arn:aws:iam::$account:user/$user is not authorized to perform: $service:$operation on resource: " + ARN + ":$name because no identity-based policy allows the $service:$operation action"),
    ("ThrottlingException", "Rate exceeded"),
    ("ResourceNotFound", "Resource Not Found"),
    ("ResourceNotFoundException", "Resource not found"),
    ("ServiceUnavailable", "The upstream could not be reached."),
]  # fmt: skip
AGENTS = [
    "Boto3/1.42.$n md/Botocore#1.42.$n ua/2.1 os/linux#6.8.0-$n-generic md/arch#x86_64 lang/python#3.11.$n md/pyimpl#CPython m/Z,D,b cfg/retry-mode#legacy Botocore/1.42.$n",
    "Boto3/1.42.$n md/Botocore#1.42.$n ua/2.1 os/macos#24.$n md/arch#arm64 lang/python#3.12.$n md/pyimpl#CPython m/b,Z cfg/retry-mode#standard Botocore/1.42.$n",
    "aws-cli/2.31.$n md/awscrt#0.28.$n ua/2.1 os/linux#6.8.0-$n-generic md/arch#x86_64 lang/python#3.13.$n md/pyimpl#CPython m/E,b,Z cfg/retry-mode#standard md/installer#exe md/prompt#off md/command#$service.$operation",
    "APN/1.0 HashiCorp/1.0 Terraform/1.13.$n (+https://www.terraform.io) terraform-provider-aws/6.$n (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.39.$n ua/2.1 os/linux lang/go#1.24.$n md/GOOS#linux md/GOARCH#amd64 api/$service#1.$n",
    "aws-sdk-java/2.31.$n md/io#sync md/http#Apache ua/2.1 os/Linux#6.8.0 lang/java#21.0.$n md/OpenJDK_64-Bit_Server_VM#21.0 md/vendor#Amazon.com_Inc. cfg/retry-mode#legacy",
    "sagemaker-python-sdk/2.$n Boto3/1.42.$n",
]  # fmt: skip
REGIONS = ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-northeast-1", "us-east-2"]
WORDS = ["fraud", "churn", "ranker", "prices", "forecast", "vision", "search", "ads", "risk", "demo"]  # fmt: skip
USERS = ["alice", "bob", "ci", "deploy", "data-science", "intern", "terraform", "notebook"]
ROLES = ["MLEngineer", "SageMakerExecutionRole", "Deploy", "ReadOnly", "TestRole", "DataScientist"]


def names(rng: random.Random, service: str, operation: str) -> dict[str, object]:
    """Return one value for each placeholder of the tables above."""
    second = rng.randrange(86_400)
    return {
        "service": service,
        "operation": operation,
        "account": f"{rng.randrange(10**12):012d}",
        "region": rng.choice(REGIONS),
        "team": rng.choice(WORDS),
        "name": f"{rng.choice(WORDS)}-{rng.choice(WORDS)}-{rng.randrange(1000)}",
        "user": rng.choice(USERS) + rng.choice(["", f"-{rng.randrange(100)}"]),
        "role": rng.choice(ROLES),
        "stamp": f"2026-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}-{second % 24:02d}",
        "time": f"2026-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
        f"T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z",
        "key": "".join(rng.choices(string.ascii_uppercase + "234567", k=16)),
        "principal": "".join(rng.choices(string.ascii_uppercase + string.digits, k=17)),
        "uuid": uuid(rng),
        "hex8": f"{rng.randrange(2**32):08x}",
        "ip": ".".join(str(rng.randrange(1, 255)) for _ in range(4)),
        "n": rng.randrange(100),
    }


def uuid(rng: random.Random) -> str:
    """Return a random UUID in text form."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def identity(rng: random.Random) -> dict[str, object]:
    """Return a userIdentity with placeholders."""
    kind = rng.choices(["IAMUser", "AssumedRole", "Root", "Unknown"], [50, 40, 4, 6])[0]
    if kind == "IAMUser":
        user = {"arn": "arn:aws:iam::$account:user/$user", "accountId": "$account"}
        return {"type": kind, "principalId": "AIDA$principal", **user, "accessKeyId": "AKIA$key", "userName": "$user"}  # fmt: skip
    if kind == "AssumedRole":
        issuer = {"type": "Role", "principalId": "AROA$principal", "arn": "arn:aws:iam::$account:role/$role", "accountId": "$account", "userName": "$role"}  # fmt: skip
        attributes = {"creationDate": "$time", "mfaAuthenticated": "false"}
        return {"type": kind, "principalId": "AROA$principal:$user", "arn": "arn:aws:sts::$account:assumed-role/$role/$user", "accountId": "$account", "accessKeyId": "ASIA$key", "sessionContext": {"sessionIssuer": issuer, "attributes": attributes}}  # fmt: skip
    if kind == "Root":
        return {"type": kind, "principalId": "$account", "arn": "arn:aws:iam::$account:root", "accountId": "$account", "accessKeyId": "AKIA$key"}  # fmt: skip
    return {"type": kind, "principalId": "", "accountId": "$account", "accessKeyId": "AKIA$key"}


def record(rng: random.Random) -> bytes:
    """Return one synthetic record, as it is appended to the log."""
    service, operation, kind, request, response = rng.choice(CALLS)
    event: dict[str, object] = {
        "eventVersion": rng.choice(["1.08", "1.09", "1.11", "1.11"]),
        "userIdentity": identity(rng),
        "eventTime": "$time",
        "eventSource": f"{service}.amazonaws.com",
        "eventName": operation,
        "awsRegion": "$region",
        "sourceIPAddress": rng.choice(["$ip", "$ip", "127.0.0.1"]),
        "userAgent": rng.choice(AGENTS),
    }
    failed = rng.random() < FAILED_SHARE
    if failed:
        event["errorCode"], event["errorMessage"] = rng.choice(ERRORS)
    event |= {"requestParameters": request, "responseElements": None if failed else response}
    if rng.random() < MARKED_SHARE:
        event["additionalEventData"] = rng.choice(
            [{"identityVerified": False}, {"outcome": "unknown"}, {"claimedRegion": "$region"}]
        )
    event |= {"requestID": uuid(rng), "eventID": uuid(rng), "readOnly": kind == "read"}
    data = "::" in kind
    if data:
        event["readOnly"] = operation.startswith("Get")
        resource = kind.rsplit("::", 1)[1].lower()
        arn = {"type": kind, "ARN": f"{ARN}:{resource}/$name"}
        event["resources"] = [{"accountId": "$account", **arn}]
    event |= {
        "eventType": "AwsApiCall",
        "managementEvent": not data,
        "recipientAccountId": "$account",
        "eventCategory": "Data" if data else "Management",
    }
    if rng.random() < TLS_SHARE:
        event["tlsDetails"] = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": f"{service}.$region.amazonaws.com"}  # fmt: skip
    text = json.dumps(event, separators=(",", ":"))
    return string.Template(text).substitute(names(rng, service, operation)).encode()


def train() -> bytes:
    """Return the dictionary: the same bytes for the same version of zstandard."""
    rng = random.Random(SEED)
    records: list[Buffer] = [record(rng) for _ in range(TRAINING_RECORDS)]
    return zstandard.train_dictionary(DICTIONARY_BYTES, records, level=TRAINING_LEVEL).as_bytes()


def measure(dictionary: bytes) -> str:
    """Return what ``dictionary`` gives on records that it was not trained on."""
    rng = random.Random(SEED + 1)
    records = [record(rng) for _ in range(HELD_OUT_RECORDS)]
    codec = BlobCodec(dictionary)
    codec.compress(records[:10])
    began = time.perf_counter()
    blobs = codec.compress(records)
    packed = time.perf_counter()
    codec.decompress(blobs)
    done = time.perf_counter()
    count = len(records)
    return (
        f"{sum(map(len, records)) / count:.0f} bytes a record -> {sum(map(len, blobs)) / count:.0f}, "
        f"{(packed - began) / count * 1e6:.2f} us in, {(done - packed) / count * 1e6:.2f} us out"
    )


def main(arguments: list[str]) -> int:
    """Write or check the dictionary; return the exit code."""
    dictionary = train()
    print(measure(dictionary))
    if arguments == ["--check"]:
        return int(Path(DICTIONARY_PATH).read_bytes() != dictionary)
    DICTIONARY_PATH.write_bytes(dictionary)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
