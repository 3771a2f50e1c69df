# SPDX-License-Identifier: Apache-2.0
"""The resource types that CloudTrail records data events of, and what is mistyped for one. Pure.

Source: CloudTrail User Guide, "Logging data events", the table of resource types, of 2026. New ones
come every month, so that this is no list of all that may be selected.
"""

from functools import lru_cache
from typing import Final

_TABLE = """
AIDevOps AgentSpace Association OperatorAppTeam PipelineMetadata Service
AIOps InvestigationGroup
AOSS Collection
AWSExternalAnthropic Workspace
AgentAccessMCP Tools
AgentRegistry Registry
AppConfig Configuration
AppSync GraphQLApi
ApplicationSignals InstrumentationConfig
B2BI Transformer
Backup BackupAccessPoint SearchJob
Bedrock AdvancedOptimizePromptJob AgentAlias AsyncInvoke AutomatedReasoningPolicy
Bedrock AutomatedReasoningPolicyVersion Blueprint DataAutomationInvocation DataAutomationProfile
Bedrock DataAutomationProject FlowAlias FlowExecution Guardrail InlineAgent KnowledgeBase Model
Bedrock PromptVersion Session Tool
BedrockAgentCore ABTest APIKeyCredentialProvider BatchEvaluate Browser BrowserCustom
BedrockAgentCore BrowserProfile CapacityProvider CodeInterpreter CodeInterpreterCustom Evaluator
BedrockAgentCore Gateway Memory OAuth2CredentialProvider Payments Policy PolicyEngine
BedrockAgentCore Recommendation Registry Runtime RuntimeEndpoint TokenVault WorkloadIdentity
BedrockAgentCore WorkloadIdentityDirectory
BedrockMantle Project
BedrockWebSearch Tool
Cassandra Stream Table
CertificateManager AcmeEndpoint
ClinicalTrialsTech Codelist Dataset Execution Instance Mapping Schedule Study
CloudFront KeyValueStore
CloudOptimization Profile Recommendation
CloudTrail Channel
CloudWatch Dataset IngestionEndpoint Metric
CodeGuruProfiler ProfilingGroup
CodeWhisperer Customization Profile
Cognito IdentityPool
DSQL Cluster
DataExchange Asset
Deadline Fleet Job Queue Worker
DiodeAlerting LinkedAlert
DynamoDB Stream Table
EC2 InstanceConnectEndpoint Snapshot
ECS ContainerInstance
EKS Dashboard
EMRWAL Workspace
Events Endpoint EventBus EventSource Rule
FSx Volume
FinSpace Environment
GameLiftStreams Application StreamGroup
GeoMaps Provider
GeoPlaces Provider
GeoRoutes Provider
Glue Table
GreengrassV2 ComponentVersion Deployment
GuardDuty Detector MalwareScan
HealthAgent Domain Integration PatientInsightsJob Session Subscription
HealthLake DataTransformationProfile
IoT Certificate Thing Tunnel
IoTSiteWise Asset Dataset Pipeline TimeSeries Workspace
IoTTwinMaker Entity Workspace
KendraRanking ExecutionPlan
Kinesis Stream StreamConsumer
KinesisFirehose DeliveryStream
KinesisVideo SignalingChannel Stream
Lambda Function MicrovmImage
Lex Bot BotAlias
Logs LogGroupAuthorization ScheduledQuery
MWAA Environment
MachineLearning MlModel
ManagedBlockchain Network Node
ManagedBlockchainQuery QueryAPI
MedicalImaging Datastore Imageset
NeptuneGraph Graph
NetworkFlowMonitor Monitor Scope
NovaAct WorkflowDefinition WorkflowRun
One UKey User
PCAConnectorAD Connector
PCAConnectorSCEP Connector
PaymentCryptography Alias Key
Pinpoint App
QApps QApp QAppSession
QBusiness Application DataSource Index Integration WebExperience
QDeveloper Integration
QuickSight App Automation AutomationJob Extension ExtensionAccess Flow FlowSession Page Task
Quicksight ActionConnector
RDS DBCluster
RUM AppMonitor
Redshift Cluster
ResourceExplorer2 ManagedView View
S3 AccessPoint Object
S3Express AccessPoint Object
S3ObjectLambda AccessPoint
S3Outposts Object
S3Tables Table TableBucket
S3Vectors Index VectorBucket
SCN BusinessRule DataLakeException ExceptionInvestigation ExceptionRule Instance Metric
SCN MetricEvaluation Outcome OutcomeTemplate
SDB Domain
SES ConfigurationSet EmailIdentity Template
SMSVoice CarrierLookup ConfigurationSet Message NotifyConfiguration OriginationIdentity
SNS PlatformEndpoint Topic
SQS Queue
SSM ExecutionPreview ManagedNode
SSMMessages ControlChannel
SWF Domain
SageMaker Endpoint ExperimentTrialComponent FeatureGroup Hub Job MlflowApp MlflowTrackingServer
SageMaker TrainingSession
ServiceDiscovery Namespace Service
Signer SigningJob SigningProfile
SitewiseAssistant Conversation
SocialMessaging PhoneNumberId WabaId
StepFunctions Activity StateMachine
SupportAccess Tenant TrustingAccount TrustingRole
ThinClient Device Environment
Timestream Database RegionalEndpoint Table
Transform AgentInstance Profile
TransformCustom Campaign Conversation KnowledgeItem Package
UXC AccountCustomization
VerifiedPermissions PolicyStore
WellArchitected AgentRecommendation
XRay Trace
"""
"""Service, then its types."""

CACHED = 1000
"""Types whose answer is remembered: more than a trail's selectors name."""

KNOWN: Final = frozenset(
    f"AWS::{service}::{noun}"
    for service, *nouns in map(str.split, _TABLE.strip().splitlines())
    for noun in nouns
)


@lru_cache(CACHED)
def is_mistyped(resource_type: str) -> bool:
    """Return whether it is none of these, but one of them with other capitals or one other letter.

    No two of them are so alike; whoever selects such a one would wait for its events for ever.
    """
    if resource_type in KNOWN:
        return False
    return any(is_near(resource_type, each) for each in KNOWN)


def is_near(one: str, other: str) -> bool:
    """Return whether they are equal but for capitals and one letter, changed, left out or put in."""
    short, long = sorted((one.lower(), other.lower()), key=len)
    if len(long) - len(short) > 1:
        return False
    same = next((at for at, letter in enumerate(short) if letter != long[at]), len(short))
    rest = short[same + 1 :] if len(short) == len(long) else short[same:]
    return rest == long[same + 1 :]
