# SPDX-License-Identifier: Apache-2.0
"""The table of all operations that the stand-in answers; any other gets a 501."""

from collections.abc import Mapping
from functools import cache, partial

from opentrail.sandbox import devopsguru, featurestore, inference, personalize, sagemaker
from opentrail.sandbox.crud import VERBS, Kind, Special, kind_of
from opentrail.sandbox.devopsguru import describe_setting, no_such_insight, nothing_to_show
from opentrail.sandbox.nouns import NOUNS
from opentrail.sandbox.request import Handler
from opentrail.sandbox.shapes import find_operation

SPECIALS: Mapping[str, Mapping[str, Special]] = {
    "sagemaker": sagemaker.SPECIALS,
    "personalize": personalize.SPECIALS,
}

BY_HAND: Mapping[str, Mapping[str, Handler]] = {
    "sagemaker": {
        "AddTags": sagemaker.add_tags,
        "ListTags": sagemaker.list_tags,
        "DeleteTags": sagemaker.delete_tags,
    },
    "sagemaker-featurestore-runtime": {
        "PutRecord": featurestore.put_record,
        "GetRecord": featurestore.get_record,
        "DeleteRecord": featurestore.delete_record,
        "BatchGetRecord": featurestore.batch_get_record,
    },
    "sagemaker-runtime": {
        "InvokeEndpoint": inference.invoke_endpoint,
        "InvokeEndpointWithResponseStream": inference.invoke_endpoint_with_response_stream,
    },
    "personalize": {
        "GetSolutionMetrics": personalize.get_solution_metrics,
        "ListRecipes": personalize.list_recipes,
        "DescribeRecipe": personalize.describe_recipe,
        "TagResource": personalize.tag_resource,
        "UntagResource": personalize.untag_resource,
        "ListTagsForResource": personalize.list_tags_for_resource,
    },
    "personalize-events": {
        "PutEvents": personalize.put_to_tracker,
        "PutActionInteractions": personalize.put_to_tracker,
        "PutItems": personalize.put_to_dataset,
        "PutUsers": personalize.put_to_dataset,
        "PutActions": personalize.put_to_dataset,
    },
    "personalize-runtime": {
        "GetRecommendations": personalize.get_recommendations,
        "GetActionRecommendations": personalize.get_action_recommendations,
        "GetPersonalizedRanking": personalize.get_personalized_ranking,
    },
    "devops-guru": {
        "AddNotificationChannel": devopsguru.add_notification_channel,
        "ListNotificationChannels": devopsguru.list_notification_channels,
        "RemoveNotificationChannel": devopsguru.remove_notification_channel,
        "UpdateResourceCollection": devopsguru.update_resource_collection,
        "GetResourceCollection": devopsguru.get_resource_collection,
        "UpdateServiceIntegration": devopsguru.update_setting("ServiceIntegration"),
        "DescribeServiceIntegration": describe_setting("ServiceIntegration"),
        "UpdateEventSourcesConfig": devopsguru.update_setting("EventSources"),
        "DescribeEventSourcesConfig": describe_setting("EventSources"),
        "PutFeedback": devopsguru.put_feedback,
        "StartCostEstimation": devopsguru.start_cost_estimation,
        "GetCostEstimation": devopsguru.get_cost_estimation,
        "DescribeInsight": no_such_insight,
        "DeleteInsight": no_such_insight,
        "DescribeAnomaly": no_such_insight,
        "DescribeFeedback": no_such_insight,
        "ListAnomaliesForInsight": no_such_insight,
        "ListAnomalousLogGroups": no_such_insight,
        "ListRecommendations": no_such_insight,
        "DescribeAccountHealth": nothing_to_show,
        "DescribeAccountOverview": nothing_to_show,
        "DescribeResourceCollectionHealth": nothing_to_show,
        "DescribeOrganizationHealth": nothing_to_show,
        "DescribeOrganizationOverview": nothing_to_show,
        "DescribeOrganizationResourceCollectionHealth": nothing_to_show,
        "ListEvents": nothing_to_show,
        "ListInsights": nothing_to_show,
        "ListMonitoredResources": nothing_to_show,
        "ListOrganizationInsights": nothing_to_show,
        "SearchInsights": nothing_to_show,
        "SearchOrganizationInsights": nothing_to_show,
    },
}
"""Service -> operation -> its handler, where no noun has it."""


@cache
def handlers() -> Mapping[tuple[str, str], Handler]:
    """Return what answers each (service, operation)."""
    found: dict[tuple[str, str], Handler] = {
        (service, name): handler
        for service, by_name in BY_HAND.items()
        for name, handler in by_name.items()
    }
    kinds = {(kind.service, kind.noun.name): kind for kind in _kinds()}
    for (service, _), kind in kinds.items():
        found |= {(service, name): handler for name, handler in _of_noun(kind).items()}
    found["sagemaker", "ListTrainingJobsForHyperParameterTuningJob"] = partial(
        sagemaker.list_training_jobs_of,
        kinds["sagemaker", "HyperParameterTuningJob"],
        kinds["sagemaker", "TrainingJob"],
    )
    found["personalize", "StopSolutionVersionCreation"] = partial(
        personalize.stop_solution_version_creation, kinds["personalize", "SolutionVersion"]
    )
    return found


def operations() -> list[tuple[str, str]]:
    """Return every (service, operation) that the stand-in answers, in order."""
    return sorted(handlers())


def _kinds() -> list[Kind]:
    return [
        kind_of(service, noun, SPECIALS[service].get(noun.name, Special()))
        for service, nouns in NOUNS.items()
        for noun in nouns
    ]


def _of_noun(kind: Kind) -> dict[str, Handler]:
    """Return the handlers of the operations that the model has for a noun."""
    found: dict[str, Handler] = {}
    for verb, handler in VERBS.items():
        noun = kind.noun
        if verb in ("Start", "Stop") and not (noun.life and noun.life.stopped):
            continue
        name = f"{verb}{noun.plural or noun.name + 's' if verb == 'List' else noun.name}"
        if find_operation(kind.service, name):
            found[name] = partial(handler, kind)
    return found
