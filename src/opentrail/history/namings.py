# SPDX-License-Identifier: Apache-2.0
"""Where the records of each service name resources, and the types that AWS publishes for them.

Source: CloudTrail User Guide, "Viewing events with CloudTrail Event history"; AWS Config and
CloudFormation resource types; Service Authorization Reference for the forms of ARNs and ids.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType


@dataclass(frozen=True)
class Naming:
    """How the records of one event source name resources."""

    members: Mapping[str, str]
    """Member of the parameters or the response -> type; ``a.b`` is member b of the object a."""
    arn_service: str = ""
    """Third part of ARNs: any member that holds such an ARN is an alias, whatever its name."""
    arn_types: Mapping[str, str] = field(default_factory=dict)
    """First word of an ARN's resource part -> type."""
    arn_deeper_types: Mapping[str, str] = field(default_factory=dict)
    """The same where more than one identifier follows: it is then something else."""
    named: Mapping[str, str] = field(default_factory=dict)
    """eventName -> type, for operations whose member is just ``name`` or ``Id``."""
    ids: re.Pattern[bytes] | None = None
    """Ids that say themselves what they are, wherever they stand; the group is what says it."""
    id_types: Mapping[bytes, str] = field(default_factory=dict)
    """What the group of ``ids`` may be -> type."""
    deep_arns: re.Pattern[bytes] | None = None
    """ARNs of its own as JSON texts, where they are aliases wherever they stand."""

    @cached_property
    def parents(self) -> frozenset[str]:
        """The objects ``a`` of members ``a.b``."""
        return frozenset(n.partition(".")[0] for n in self.members if "." in n)


_SAGEMAKER_NOUNS = {
    "action": "Action",
    "algorithm": "Algorithm",
    "app-image-config": "AppImageConfig",
    "artifact": "Artifact",
    "automl-job": "AutoMLJob",
    "cluster": "Cluster",
    "code-repository": "CodeRepository",
    "context": "Context",
    "device-fleet": "DeviceFleet",
    "domain": "Domain",
    "endpoint": "Endpoint",
    "endpoint-config": "EndpointConfig",
    "experiment": "Experiment",
    "feature-group": "FeatureGroup",
    "hub": "Hub",
    "human-task-ui": "HumanTaskUi",
    "hyper-parameter-tuning-job": "HyperParameterTuningJob",
    "image": "Image",
    "image-version": "ImageVersion",
    "inference-component": "InferenceComponent",
    "inference-experiment": "InferenceExperiment",
    "mlflow-app": "MlflowApp",
    "mlflow-tracking-server": "MlflowTrackingServer",
    "model": "Model",
    "model-card": "ModelCard",
    "model-package": "ModelPackage",
    "model-package-group": "ModelPackageGroup",
    "monitoring-schedule": "MonitoringSchedule",
    "notebook-instance": "NotebookInstance",
    "notebook-instance-lifecycle-config": "NotebookInstanceLifecycleConfig",
    "optimization-job": "OptimizationJob",
    "pipeline": "Pipeline",
    "processing-job": "ProcessingJob",
    "project": "Project",
    "space": "Space",
    "studio-lifecycle-config": "StudioLifecycleConfig",
    "training-job": "TrainingJob",
    "transform-job": "TransformJob",
    "user-profile": "UserProfile",
    "workforce": "Workforce",
    "workteam": "Workteam",
}
"""First word of an ARN's resource part -> X of ``AWS::SageMaker::X``; members are ``xName``."""

_SAGEMAKER_UNTYPED = (
    "compilationJobName",
    "computeQuotaId",
    "clusterSchedulerConfigId",
    "edgeDeploymentPlanName",
    "edgePackagingJobName",
    "flowDefinitionName",
    "hubContentName",
    "jobDefinitionName",
    "jobName",
    "labelingJobName",
    "lineageGroupName",
    "trainingPlanName",
    "trialName",
)
"""Members that name resources of kinds for which no type is published."""

_TRIAL_COMPONENT = "AWS::SageMaker::ExperimentTrialComponent"

_SAGEMAKER = Naming(
    members=dict.fromkeys(_SAGEMAKER_UNTYPED, "")
    | {f"{n[0].lower()}{n[1:]}Name": f"AWS::SageMaker::{n}" for n in _SAGEMAKER_NOUNS.values()}
    | {
        "domainId": "AWS::SageMaker::Domain",
        "trackingServerName": "AWS::SageMaker::MlflowTrackingServer",
        "trialComponentName": _TRIAL_COMPONENT,
    },
    arn_service="sagemaker",
    arn_types={kind: f"AWS::SageMaker::{noun}" for kind, noun in _SAGEMAKER_NOUNS.items()}
    | {"experiment-trial-component": _TRIAL_COMPONENT},
    arn_deeper_types={
        "pipeline": "AWS::SageMaker::PipelineExecution",
        "model-card": "AWS::SageMaker::ModelCardExportJob",
    },
)

_PERSONALIZE_NOUNS = {
    "dataset": "Dataset",
    "dataset-group": "DatasetGroup",
    "schema": "Schema",
    "solution": "Solution",
}

_PERSONALIZE = Naming(
    members={"name": "", "jobName": ""},
    arn_service="personalize",
    arn_types={kind: f"AWS::Personalize::{noun}" for kind, noun in _PERSONALIZE_NOUNS.items()},
    arn_deeper_types={"solution": ""},  # a version of a solution
    named={f"Create{noun}": f"AWS::Personalize::{noun}" for noun in _PERSONALIZE_NOUNS.values()},
)

_CHANNEL = "AWS::DevOpsGuru::NotificationChannel"

_DEVOPS_GURU = Naming(
    members={"Id": "", "InsightId": ""},  # of an insight or an anomaly, but for these:
    named={"AddNotificationChannel": _CHANNEL, "RemoveNotificationChannel": _CHANNEL},
)


def _members(kind: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, kind)


_IAM = Naming(
    _members("AWS::IAM::User", "userName", "user.userName", "user.arn", "user.userId")
    | _members("AWS::IAM::Role", "roleName", "role.roleName", "role.arn", "role.roleId")
    | _members("AWS::IAM::AccessKey", "accessKeyId", "accessKey.accessKeyId")
    | _members("AWS::IAM::User", "accessKey.userName", "loginProfile.userName")
    | _members("AWS::IAM::Group", "groupName", "group.groupName", "group.arn", "group.groupId")
    | _members("AWS::IAM::Policy", "policyArn", "policyName", "policy.policyName")
    | _members("AWS::IAM::Policy", "policy.arn", "policy.policyId")
    | _members("AWS::IAM::InstanceProfile", "instanceProfileName")
    | _members("AWS::IAM::InstanceProfile", "instanceProfile.instanceProfileName")
    | _members("AWS::IAM::InstanceProfile", "instanceProfile.arn")
    | _members("AWS::IAM::InstanceProfile", "instanceProfile.instanceProfileId")
    | _members("AWS::IAM::MFADevice", "serialNumber", "virtualMFADevice.serialNumber")
    | _members("AWS::IAM::SAMLProvider", "sAMLProviderArn")
)

_STS = Naming(
    _members("AWS::IAM::AccessKey", "credentials.accessKeyId")
    | _members("AWS::STS::AssumedRole", "assumedRoleUser.assumedRoleId", "assumedRoleUser.arn")
    | _members("AWS::STS::AssumedRole", "roleSessionName")
    | _members("AWS::STS::FederatedUser", "federatedUser.federatedUserId", "federatedUser.arn")
)

_EC2_TYPES: Mapping[bytes, str] = MappingProxyType(
    {
        b"acl": "AWS::EC2::NetworkAcl",
        b"ami": "AWS::EC2::Ami",
        b"cgw": "AWS::EC2::CustomerGateway",
        b"dopt": "AWS::EC2::DHCPOptions",
        b"eigw": "AWS::EC2::EgressOnlyInternetGateway",
        b"eipalloc": "AWS::EC2::EIP",
        b"eni": "AWS::EC2::NetworkInterface",
        b"fl": "AWS::EC2::FlowLog",
        b"i": "AWS::EC2::Instance",
        b"igw": "AWS::EC2::InternetGateway",
        b"key": "AWS::EC2::KeyPair",
        b"lt": "AWS::EC2::LaunchTemplate",
        b"nat": "AWS::EC2::NatGateway",
        b"pcx": "AWS::EC2::VPCPeeringConnection",
        b"rtb": "AWS::EC2::RouteTable",
        b"sg": "AWS::EC2::SecurityGroup",
        b"snap": "AWS::EC2::Snapshot",
        b"subnet": "AWS::EC2::Subnet",
        b"tgw": "AWS::EC2::TransitGateway",
        b"tgw-attach": "AWS::EC2::TransitGatewayAttachment",
        b"vgw": "AWS::EC2::VPNGateway",
        b"vol": "AWS::EC2::Volume",
        b"vpc": "AWS::EC2::VPC",
        b"vpce": "AWS::EC2::VPCEndpoint",
        b"vpn": "AWS::EC2::VPNConnection",
    }
)
_EC2 = Naming(
    {
        "keyName": "AWS::EC2::KeyPair",
        "groupName": "AWS::EC2::SecurityGroup",
        "publicIp": "AWS::EC2::EIP",
    },
    ids=re.compile(b'"((?:%b)-[0-9a-f]{8,17})"' % b"|".join(sorted(_EC2_TYPES, reverse=True))),
    id_types=_EC2_TYPES,
)


def _own(kind: str, *names: str) -> Naming:
    """Return the naming of a service with one kind of resource."""
    return Naming(_members(kind, *names))


_RDS = Naming(
    {
        "dBInstanceIdentifier": "AWS::RDS::DBInstance",
        "dBInstanceArn": "AWS::RDS::DBInstance",
        "dBClusterIdentifier": "AWS::RDS::DBCluster",
        "dBClusterArn": "AWS::RDS::DBCluster",
        "dBSnapshotIdentifier": "AWS::RDS::DBSnapshot",
        "dBSnapshotArn": "AWS::RDS::DBSnapshot",
        "dBClusterSnapshotIdentifier": "AWS::RDS::DBClusterSnapshot",
        "dBSubnetGroupName": "AWS::RDS::DBSubnetGroup",
        "dBSubnetGroupArn": "AWS::RDS::DBSubnetGroup",
        "dBParameterGroupName": "AWS::RDS::DBParameterGroup",
        "dBSecurityGroupName": "AWS::RDS::DBSecurityGroup",
        "optionGroupName": "AWS::RDS::OptionGroup",
    },
)
_ECS = Naming(
    {
        "cluster": "AWS::ECS::Cluster",
        "clusterName": "AWS::ECS::Cluster",
        "service": "AWS::ECS::Service",
        "serviceName": "AWS::ECS::Service",
        "taskDefinition": "AWS::ECS::TaskDefinition",
        "family": "AWS::ECS::TaskDefinition",
        "cluster.clusterArn": "AWS::ECS::Cluster",
        "cluster.clusterName": "AWS::ECS::Cluster",
        "service.serviceArn": "AWS::ECS::Service",
        "service.serviceName": "AWS::ECS::Service",
        "taskDefinition.taskDefinitionArn": "AWS::ECS::TaskDefinition",
    },
)
_ELB_2 = "AWS::ElasticLoadBalancingV2"
_ELB = Naming(
    {"loadBalancerName": "AWS::ElasticLoadBalancing::LoadBalancer", "name": ""},
    arn_service="elasticloadbalancing",
    arn_types={
        "listener": f"{_ELB_2}::Listener",
        "listener-rule": f"{_ELB_2}::ListenerRule",
        "loadbalancer": "AWS::ElasticLoadBalancing::LoadBalancer",
        "targetgroup": f"{_ELB_2}::TargetGroup",
        "truststore": f"{_ELB_2}::TrustStore",
    },
    arn_deeper_types={"loadbalancer": f"{_ELB_2}::LoadBalancer"},
    deep_arns=re.compile(rb'"arn:[a-z-]+:elasticloadbalancing:[^"\\]+"'),
)
"""Of the older service by names; of the newer, whose answers are lists, by ARNs."""
_STORE, _CHANNEL, _DASHBOARD = (
    f"AWS::CloudTrail::{kind}" for kind in ("EventDataStore", "Channel", "Dashboard")
)
_CLOUDTRAIL = Naming(
    _members("AWS::CloudTrail::Trail", "name", "trailName", "trailNameList"),
    arn_service="cloudtrail",
    arn_types={
        "trail": "AWS::CloudTrail::Trail",
        "eventdatastore": _STORE,
        "channel": _CHANNEL,
        "dashboard": _DASHBOARD,
    },
    named={
        "CreateEventDataStore": _STORE,
        "UpdateEventDataStore": _STORE,
        "CreateChannel": _CHANNEL,
        "UpdateChannel": _CHANNEL,
        "CreateDashboard": _DASHBOARD,
    },
    deep_arns=re.compile(rb'"arn:[a-z-]+:cloudtrail:[^"\\]+"'),
)
"""Tags are listed of up to twenty ARNs of several kinds."""
_KEPT = "AWS::SecretsManager::Secret"

NAMINGS: Mapping[str, Naming] = MappingProxyType(
    {
        "sagemaker.amazonaws.com": _SAGEMAKER,
        "metrics-sagemaker.amazonaws.com": _SAGEMAKER,
        "personalize.amazonaws.com": _PERSONALIZE,
        "devops-guru.amazonaws.com": _DEVOPS_GURU,
        "iam.amazonaws.com": _IAM,
        "sts.amazonaws.com": _STS,
        "ec2.amazonaws.com": _EC2,
        "rds.amazonaws.com": _RDS,
        "ecs.amazonaws.com": _ECS,
        "autoscaling.amazonaws.com": Naming(
            {
                "autoScalingGroupName": "AWS::AutoScaling::AutoScalingGroup",
                "launchConfigurationName": "AWS::AutoScaling::LaunchConfiguration",
            }
        ),
        "cloudformation.amazonaws.com": _own("AWS::CloudFormation::Stack", "stackName", "stackId"),
        "cloudtrail.amazonaws.com": _CLOUDTRAIL,
        "dynamodb.amazonaws.com": _own(
            "AWS::DynamoDB::Table", "tableName", "tableDescription.tableArn"
        ),
        "ecr.amazonaws.com": _own("AWS::ECR::Repository", "repositoryName"),
        "eks.amazonaws.com": _own("AWS::EKS::Cluster", "clusterName", "cluster.arn"),
        "elasticloadbalancing.amazonaws.com": _ELB,
        "firehose.amazonaws.com": _own(
            "AWS::KinesisFirehose::DeliveryStream", "deliveryStreamName", "deliveryStreamARN"
        ),
        "kinesis.amazonaws.com": _own("AWS::Kinesis::Stream", "streamName", "streamARN"),
        "lambda.amazonaws.com": _own("AWS::Lambda::Function", "functionName", "functionArn"),
        "logs.amazonaws.com": _own("AWS::Logs::LogGroup", "logGroupName"),
        "monitoring.amazonaws.com": _own("AWS::CloudWatch::Alarm", "alarmName", "alarmNames"),
        "redshift.amazonaws.com": _own("AWS::Redshift::Cluster", "clusterIdentifier"),
        "s3.amazonaws.com": _own("AWS::S3::Bucket", "bucketName"),
        "secretsmanager.amazonaws.com": _own(_KEPT, "secretId", "name", "arn", "aRN"),
        "sns.amazonaws.com": _own("AWS::SNS::Topic", "topicArn", "name"),
        "sqs.amazonaws.com": _own("AWS::SQS::Queue", "queueUrl", "queueName"),
        "ssm.amazonaws.com": Naming(
            {"name": "", "names": "", "instanceId": "AWS::EC2::Instance"},
            named=dict.fromkeys(
                ("DeleteParameter", "GetParameter", "PutParameter"), "AWS::SSM::Parameter"
            ),
        ),
        "states.amazonaws.com": _own("AWS::StepFunctions::StateMachine", "stateMachineArn", "name"),
    }
)
"""A service needs a row here only if its records do not carry ``resources`` themselves."""
