# SPDX-License-Identifier: Apache-2.0
"""EC2, EBS, Lambda and Bedrock's runtime: what their models do not say about their records.

Source: delivered records; CloudTrail User Guide, "Logging data events"; Lambda Developer Guide,
"Logging AWS Lambda API calls using AWS CloudTrail"; EBS User Guide, "Log API calls using CloudTrail".
"""

from collections.abc import Mapping
from types import MappingProxyType

from opentrail.capture.rules import Form, Named, OperationRules, Redaction, ServiceRules, Times

_ATTRIBUTE = OperationRules(spelling=MappingProxyType({"Attribute": "attributeType"}))
EC2 = ServiceRules(
    event_version="1.10",
    form=Form.EC2,
    times=Times.EPOCH_MS,
    redaction=Redaction.REMOVED,
    operations=MappingProxyType(
        {
            "CreateVolume": OperationRules(spelling=MappingProxyType({"AvailabilityZone": "zone"})),
            "ModifyImageAttribute": _ATTRIBUTE,
            "ModifySnapshotAttribute": _ATTRIBUTE,
        }
    ),
)


def _snapshot(member: str) -> Named:
    arn = "arn:{partition}:ec2:{region}::snapshot/{name}"
    return Named("AWS::EC2::Snapshot", (member,), arn)


_OF_SNAPSHOT = OperationRules(data=_snapshot("SnapshotId"))
_OF_SNAPSHOTS = tuple(map(_snapshot, ("FirstSnapshotId", "SecondSnapshotId")))
EBS = ServiceRules(
    times=Times.JAVA,
    hide=frozenset({"BlockToken"}),  # whoever has it reads the block
    operations=MappingProxyType(
        {
            "GetSnapshotBlock": _OF_SNAPSHOT,
            "ListChangedBlocks": OperationRules(data=_OF_SNAPSHOTS[0], named=_OF_SNAPSHOTS),
            "ListSnapshotBlocks": _OF_SNAPSHOT,
            "PutSnapshotBlock": _OF_SNAPSHOT,
        }
    ),
)

_FUNCTION = Named(
    "AWS::Lambda::Function",
    ("FunctionName",),
    "arn:{partition}:lambda:{region}:{account}:function:{name}",
    of_account=True,
)
_INVOKE = OperationRules(
    keep=frozenset({"FunctionName", "InvocationType", "Qualifier"}), data=_FUNCTION, response=False
)
_DATED: Mapping[str, str] = MappingProxyType(
    {
        "20150331": (
            "CreateAlias CreateEventSourceMapping CreateFunction DeleteAlias"
            " DeleteEventSourceMapping DeleteFunction GetAlias GetEventSourceMapping ListAliases"
            " ListEventSourceMappings ListFunctions ListVersionsByFunction PublishVersion"
            " UpdateAlias UpdateEventSourceMapping"
        ),
        "20150331v2": (
            "AddPermission GetFunction GetFunctionConfiguration GetPolicy RemovePermission"
            " UpdateFunctionCode UpdateFunctionConfiguration"
        ),
        "20160819": "GetAccountSettings",
        "20170331": "ListTags",
        "20170331v2": "TagResource UntagResource",
        "20171031": "DeleteFunctionConcurrency PutFunctionConcurrency",
        "20181031": (
            "AddLayerVersionPermission DeleteLayerVersion GetLayerVersion GetLayerVersionByArn"
            " GetLayerVersionPolicy ListLayerVersions ListLayers PublishLayerVersion"
            " RemoveLayerVersionPermission"
        ),
    }
)
"""Operations that records name by the API version they were made in; newer ones have no date."""
LAMBDA = ServiceRules(
    event_version="1.11",
    redaction=Redaction.OMITTED,
    operations=MappingProxyType(
        {
            **dict.fromkeys(("Invoke", "InvokeAsync", "InvokeWithResponseStream"), _INVOKE),
            **{
                name: OperationRules(event_name=name + suffix)
                for suffix, names in _DATED.items()
                for name in names.split()
            },
            # All that it answers is the status line.
            "DeleteFunction": OperationRules(event_name="DeleteFunction20150331", response=False),
        }
    ),
)

# Prompts are the customer's data. Management events and reads: delivered for InvokeModel, taken
# over for the other three.
_PROMPT = OperationRules(keep=frozenset({"modelId"}), read_only=True, response=False)
BEDROCK_RUNTIME = ServiceRules(
    operations=MappingProxyType(
        dict.fromkeys(
            ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream"), _PROMPT
        )
    )
)
