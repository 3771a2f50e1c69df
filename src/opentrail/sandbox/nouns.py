# SPDX-License-Identifier: Apache-2.0
"""The nouns of SageMaker and Personalize that the stand-in can make, and how their ARNs look.

Which operations a noun has, and their members, is in the service model; only what the model does
not say is in these tables. ARN paths: Service Authorization Reference, resource types.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Life:
    """The statuses that a resource goes through."""

    first: str
    settled: str
    updating: str = ""
    """Between an update and ``settled`` again; empty when an update changes no status."""
    stopping: str = ""
    stopped: str = ""
    is_job: bool = False
    """Whether ``settled`` is the end of a job's work, and not the beginning of a service's."""


@dataclass(frozen=True, slots=True)
class Noun:
    """One kind of resource. What is left empty follows the service's habit."""

    name: str
    """As in the operations' names: "EndpointConfig"."""
    path: str
    """The ARN after the account: ``{Member}``, ``{Member:lower}``, ``{memberArn:tail}``."""
    life: Life | None = None
    refers: dict[str, str] = field(default_factory=dict)
    """Members of the Create operation that name another resource, and that resource's noun."""
    generated: dict[str, str] = field(default_factory=dict)
    """Members that the service invents, as a format of 12 hexadecimal digits."""
    plural: str = ""
    """As in the List operation's name; empty means the name and "s"."""


JOB = Life("InProgress", "Completed", stopping="Stopping", stopped="Stopped", is_job=True)
_JOB_UPPER = Life("INPROGRESS", "COMPLETED", stopping="STOPPING", stopped="STOPPED", is_job=True)
_SERVING = Life("Creating", "InService", updating="Updating")
_STUDIO = Life("Pending", "InService", updating="Updating")
_PERSONALIZE = Life("CREATE PENDING", "ACTIVE")
_RECOMMENDER = Life("CREATE PENDING", "ACTIVE", stopping="STOP PENDING", stopped="INACTIVE")
_TRAINED = Life(
    "CREATE PENDING", "ACTIVE", stopping="CREATE STOPPING", stopped="CREATE STOPPED", is_job=True
)

SAGEMAKER = (
    # The older kinds of SageMaker resources have their names in lower case in their ARNs.
    Noun("Model", "model/{ModelName:lower}"),
    Noun("EndpointConfig", "endpoint-config/{EndpointConfigName:lower}"),
    Noun(
        "Endpoint",
        "endpoint/{EndpointName:lower}",
        _SERVING,
        refers={"EndpointConfigName": "EndpointConfig"},
    ),
    Noun("TrainingJob", "training-job/{TrainingJobName:lower}", JOB),
    Noun(
        "HyperParameterTuningJob",
        "hyper-parameter-tuning-job/{HyperParameterTuningJobName:lower}",
        JOB,
    ),
    Noun("ProcessingJob", "processing-job/{ProcessingJobName:lower}", JOB),
    Noun(
        "TransformJob",
        "transform-job/{TransformJobName:lower}",
        JOB,
        refers={"ModelName": "Model"},
    ),
    Noun("FeatureGroup", "feature-group/{FeatureGroupName}", Life("Creating", "Created")),
    Noun("Action", "action/{ActionName}"),
    Noun("Algorithm", "algorithm/{AlgorithmName}", Life("Pending", "Completed")),
    Noun("AppImageConfig", "app-image-config/{AppImageConfigName}"),
    Noun("CodeRepository", "code-repository/{CodeRepositoryName}", plural="CodeRepositories"),
    Noun("CompilationJob", "compilation-job/{CompilationJobName}", _JOB_UPPER),
    Noun("Context", "context/{ContextName}"),
    Noun("Domain", "domain/{DomainId}", _STUDIO, generated={"DomainId": "d-{}"}),
    Noun("Experiment", "experiment/{ExperimentName}"),
    Noun("FlowDefinition", "flow-definition/{FlowDefinitionName}", Life("Initializing", "Active")),
    Noun("Hub", "hub/{HubName}", _SERVING),
    Noun("HumanTaskUi", "human-task-ui/{HumanTaskUiName}", Life("Active", "Active")),
    Noun("Image", "image/{ImageName}", Life("CREATING", "CREATED", updating="UPDATING")),
    Noun(
        "InferenceComponent",
        "inference-component/{InferenceComponentName}",
        _SERVING,
        refers={"EndpointName": "Endpoint"},
    ),
    Noun("LabelingJob", "labeling-job/{LabelingJobName}", JOB),
    Noun(
        "MlflowTrackingServer",
        "mlflow-tracking-server/{TrackingServerName}",
        Life("Creating", "Created", updating="Updating", stopping="Stopping", stopped="Stopped"),
    ),
    Noun("ModelCard", "model-card/{ModelCardName}"),
    Noun(
        "ModelPackageGroup",
        "model-package-group/{ModelPackageGroupName}",
        Life("Pending", "Completed"),
    ),
    Noun(
        "MonitoringSchedule",
        "monitoring-schedule/{MonitoringScheduleName}",
        Life("Pending", "Scheduled", stopping="Stopped", stopped="Stopped"),
    ),
    Noun(
        "NotebookInstance",
        "notebook-instance/{NotebookInstanceName}",
        Life("Pending", "InService", updating="Updating", stopping="Stopping", stopped="Stopped"),
    ),
    Noun(
        "NotebookInstanceLifecycleConfig",
        "notebook-instance-lifecycle-config/{NotebookInstanceLifecycleConfigName}",
    ),
    Noun("OptimizationJob", "optimization-job/{OptimizationJobName}", _JOB_UPPER),
    Noun("Pipeline", "pipeline/{PipelineName}", Life("Active", "Active")),
    Noun(
        "Project",
        "project/{ProjectName}",
        Life("Pending", "CreateCompleted"),
        generated={"ProjectId": "p-{}"},
    ),
    Noun("Space", "space/{DomainId}/{SpaceName}", _STUDIO, refers={"DomainId": "Domain"}),
    Noun("StudioLifecycleConfig", "studio-lifecycle-config/{StudioLifecycleConfigName}"),
    Noun("Trial", "experiment-trial/{TrialName}", refers={"ExperimentName": "Experiment"}),
    Noun("TrialComponent", "experiment-trial-component/{TrialComponentName}"),
    Noun(
        "UserProfile",
        "user-profile/{DomainId}/{UserProfileName}",
        _STUDIO,
        refers={"DomainId": "Domain"},
    ),
    Noun("Workforce", "workforce/{WorkforceName}"),
    Noun("Workteam", "workteam/private-crowd/{WorkteamName}"),
)

PERSONALIZE = (
    Noun("Schema", "schema/{name}"),
    Noun("DatasetGroup", "dataset-group/{name}", _PERSONALIZE),
    Noun("Dataset", "dataset/{datasetGroupArn:tail}/{datasetType:upper}", _PERSONALIZE),
    Noun("DatasetImportJob", "dataset-import-job/{jobName}", _PERSONALIZE),
    Noun("DatasetExportJob", "dataset-export-job/{jobName}", _PERSONALIZE),
    Noun("DataDeletionJob", "data-deletion-job/{jobName}", Life("PENDING", "COMPLETED")),
    Noun("Solution", "solution/{name}", _PERSONALIZE),
    Noun(
        "SolutionVersion",
        "solution/{solutionArn:tail}/{versionId}",
        _TRAINED,
        generated={"versionId": "{}"},
    ),
    Noun("Campaign", "campaign/{name}", _PERSONALIZE),
    Noun(
        "EventTracker",
        "event-tracker/{eventTrackerId}",
        _PERSONALIZE,
        generated={"eventTrackerId": "{}", "trackingId": "{}"},
    ),
    Noun("Filter", "filter/{name}", _PERSONALIZE),
    Noun("Recommender", "recommender/{name}", _RECOMMENDER),
    Noun("BatchInferenceJob", "batch-inference-job/{jobName}", _PERSONALIZE),
    Noun("BatchSegmentJob", "batch-segment-job/{jobName}", _PERSONALIZE),
    Noun("MetricAttribution", "metric-attribution/{name}", _PERSONALIZE),
)

NOUNS: dict[str, tuple[Noun, ...]] = {"sagemaker": SAGEMAKER, "personalize": PERSONALIZE}
"""By service."""

REFERS_BY_ARN = {f"{noun.name[:1].lower()}{noun.name[1:]}Arn": noun.name for noun in PERSONALIZE}
"""Personalize names other resources by ARN, in members called after their nouns."""
