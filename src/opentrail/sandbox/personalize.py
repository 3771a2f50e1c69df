# SPDX-License-Identifier: Apache-2.0
"""What Personalize does besides the common nouns: recipes, metrics, tags, events, recommendations.

Recommendations are made up, always the same for the same question: the stand-in learns nothing.
"""

import zlib

from opentrail.errors import ClientError
from opentrail.sandbox.crud import Kind, Special, request_tags, stop
from opentrail.sandbox.request import Request
from opentrail.sandbox.shapes import Members
from opentrail.sandbox.state import Resource

RESULTS_DEFAULT = 25
"""Items of a recommendation that asks for no number: Personalize's default."""
RESULTS_MAX = 500
"""Items of a recommendation: Personalize's bound."""
_CATALOGUE = 1_000
"""Items that the made-up recommendations are taken from."""
_RECIPES = ("aws-user-personalization", "aws-popularity-count", "aws-sims", "aws-similar-items")
_RECIPE_PREFIX = "arn:aws:personalize:::recipe/"


def _check_dataset(request: Request) -> None:
    if request.text("datasetType").upper() not in (
        "INTERACTIONS",
        "ITEMS",
        "USERS",
        "ACTIONS",
        "ACTION_INTERACTIONS",
    ):
        raise request.bad_input(f"{request.text('datasetType')} is not a dataset type.")


def _version_of_solution(request: Request, _version: Resource) -> Members:
    """Return what a version takes over from its solution."""
    solution = request.scope.resources[request.text("solutionArn")]
    taken = ("datasetGroupArn", "recipeArn", "eventType", "performAutoML", "solutionConfig")
    return {name: solution.members[name] for name in taken if name in solution.members}


def _account(request: Request, _tracker: Resource) -> Members:
    return {"accountId": request.scope.account}


SPECIALS = {
    "Dataset": Special(check=_check_dataset),
    "SolutionVersion": Special(created=_version_of_solution),
    "EventTracker": Special(created=_account),
}
"""By noun."""


def stop_solution_version_creation(kind: Kind, request: Request) -> Members:
    """StopSolutionVersionCreation: let its training come to a stop."""
    stop(kind, request)
    return {}


def get_solution_metrics(request: Request) -> Members:
    """GetSolutionMetrics: show one made-up metric of a trained version."""
    arn = _existing(request, "solutionVersionArn", "SolutionVersion")
    return {"solutionVersionArn": arn, "metrics": {"coverage": 0.5}}


def list_recipes(_request: Request) -> Members:
    """ListRecipes: show the recipes that belong to the service."""
    return {"recipes": [_recipe(name) for name in _RECIPES]}


def describe_recipe(request: Request) -> Members:
    """DescribeRecipe: show one of the service's recipes."""
    name = request.text("recipeArn").removeprefix(_RECIPE_PREFIX)
    if name not in _RECIPES:
        raise request.not_found(f"Could not find Recipe {request.text('recipeArn')}.")
    return {"recipe": _recipe(name)}


def _recipe(name: str) -> Members:
    return {"name": name, "recipeArn": _RECIPE_PREFIX + name, "status": "ACTIVE"}


def tag_resource(request: Request) -> Members:
    """TagResource: set tags."""
    arn = _existing(request, "resourceArn")
    request.scope.tag(arn, request_tags(request.members), "TooManyTagsException")
    return {}


def untag_resource(request: Request) -> Members:
    """UntagResource: forget the named tags."""
    tags = request.scope.tags.get(_existing(request, "resourceArn"), {})
    for key in request.listed("tagKeys"):
        tags.pop(str(key), None)
    return {}


def list_tags_for_resource(request: Request) -> Members:
    """ListTagsForResource: show all tags."""
    tags = request.scope.tags.get(_existing(request, "resourceArn"), {})
    return {"tags": [{"tagKey": key, "tagValue": value} for key, value in tags.items()]}


def put_to_tracker(request: Request) -> Members:
    """Take events for an event tracker, and forget them."""
    tracking_id = request.text("trackingId")
    trackers = request.scope.of("EventTracker")
    if all(tracker.members["trackingId"] != tracking_id for tracker in trackers):
        raise request.not_found(f"Could not find an event tracker with id {tracking_id}.")
    return {}


def put_to_dataset(request: Request) -> Members:
    """Take items, users or actions for a dataset, and forget them."""
    _existing(request, "datasetArn", "Dataset")
    return {}


def get_recommendations(request: Request) -> Members:
    """Recommend items for a user or an item, by a campaign or a recommender."""
    member = "recommenderArn" if request.text("recommenderArn") else "campaignArn"
    arn = _existing(request, member, "Recommender" if member[0] == "r" else "Campaign")
    asked = f"{arn} {request.text('userId')} {request.text('itemId')}"
    return _recommended(request, asked, "item")


def get_action_recommendations(request: Request) -> Members:
    """Recommend actions for a user, by a campaign."""
    arn = _existing(request, "campaignArn", "Campaign")
    return _recommended(request, f"{arn} {request.text('userId')}", "action")


def get_personalized_ranking(request: Request) -> Members:
    """Order the given items for a user."""
    arn = _existing(request, "campaignArn", "Campaign")
    asked = f"{arn} {request.text('userId')}"
    items = sorted(
        (str(item) for item in request.listed("inputList")),
        key=lambda item: zlib.crc32(f"{asked} {item}".encode()),
    )
    ranked: list[Members] = [
        {"itemId": item, "score": _score(place, len(items))} for place, item in enumerate(items)
    ]
    return {"personalizedRanking": ranked, "recommendationId": _recommendation_id(asked)}


def _recommended(request: Request, asked: str, what: str) -> Members:
    """Return as many made-up items or actions as are wanted, best first."""
    count = request.members.get("numResults", RESULTS_DEFAULT)
    if not isinstance(count, int) or not 0 <= count <= RESULTS_MAX:
        raise request.bad_input(f"numResults must be between 0 and {RESULTS_MAX}.")
    first = zlib.crc32(asked.encode())
    listed: list[Members] = [
        {f"{what}Id": f"{what}-{(first + place) % _CATALOGUE}", "score": _score(place, count)}
        for place in range(count)
    ]
    return {f"{what}List": listed, "recommendationId": _recommendation_id(asked)}


def _score(place: int, count: int) -> float:
    return round(1.0 - place / (count + 1), 4)


def _recommendation_id(asked: str) -> str:
    return f"RID-{zlib.crc32(asked.encode()):08x}"


def _existing(request: Request, member: str, noun: str = "") -> str:
    """Return the ARN in ``member``. Raises: ClientError when nothing (of the noun) has it."""
    arn = request.text(member)
    found = request.scope.resources.get(arn)
    if found is None or (noun and found.noun != noun):
        raise _missing(request, member, arn)
    return arn


def _missing(request: Request, member: str, arn: str) -> ClientError:
    if not arn:
        return request.bad_input(f"{member} is required.")
    return request.not_found(f"Could not find what {member} names: {arn}.")
