# SPDX-License-Identifier: Apache-2.0
"""DevOps Guru as an account that nothing ever happens in: its settings are kept, no insight comes."""

from opentrail.clock import uuid4_text
from opentrail.sandbox.request import Handler, Request
from opentrail.sandbox.shapes import Members, output_members

_CHANNEL = "NotificationChannel"
_COLLECTION = "ResourceCollection"
_STACKS_MAX = 1_000
"""Stacks of one resource collection: DevOps Guru analyses at most this many."""


def nothing_to_show(request: Request) -> Members:
    """Answer with empty lists and zeros where the model wants any."""
    empty: Members = {}
    for name, member in output_members(request.operation).items():
        if member.shape.kind == "list":
            empty[name] = []
        elif member.shape.kind in ("integer", "long"):
            empty[name] = 0
    return empty


def no_such_insight(request: Request) -> Members:
    """Answer for an insight or an anomaly by its id. Raises: ClientError: there is none, ever."""
    identifier = request.text("Id") or request.text("InsightId")
    raise request.not_found(f"Could not find {identifier}.")


def add_notification_channel(request: Request) -> Members:
    """Keep a channel. Raises: ClientError where one has the same topic."""
    config = request.members["Config"]
    if any(item.members["Config"] == config for item in request.scope.of(_CHANNEL)):
        raise request.busy("A notification channel with this configuration exists.")
    request.scope.room_for(1, request.limit_code)
    identifier = uuid4_text(request.ids)
    members: Members = {"Id": identifier, "Config": config}
    request.scope.add(_CHANNEL, _channel_arn(request, identifier), members, request.now_ms)
    return {"Id": identifier}


def list_notification_channels(request: Request) -> Members:
    """Show all channels on one page: DevOps Guru allows two."""
    return {"Channels": [item.members for item in request.scope.of(_CHANNEL)]}


def remove_notification_channel(request: Request) -> Members:
    """Forget a channel."""
    arn = _channel_arn(request, request.text("Id"))
    if arn not in request.scope.resources:
        raise request.not_found(f"Could not find notification channel {request.text('Id')}.")
    request.scope.remove(arn)
    return {}


def _channel_arn(request: Request, identifier: str) -> str:
    scope = request.scope
    return f"arn:aws:devops-guru:{scope.region}:{scope.account}:channel/{identifier}"


def update_resource_collection(request: Request) -> Members:
    """Add stacks or tags to the collection, or remove them."""
    given = request.members[_COLLECTION]
    kept = request.scope.settings.get(_COLLECTION, {})
    assert isinstance(given, dict)
    adding = request.text("Action") == "ADD"
    stacks = _joined(_stacks(kept), _stacks(given), adding=adding)
    if len(stacks) > _STACKS_MAX:
        raise request.bad_input(f"A resource collection has at most {_STACKS_MAX} stacks.")
    request.scope.settings[_COLLECTION] = {
        "CloudFormation": {"StackNames": stacks},
        "Tags": _joined(_listed(kept, "Tags"), _listed(given, "Tags"), adding=adding),
    }
    return {}


def get_resource_collection(request: Request) -> Members:
    """Show the part of the collection that is asked for."""
    kept = request.scope.settings.get(_COLLECTION, {})
    part = {"AWS_CLOUD_FORMATION": "CloudFormation", "AWS_TAGS": "Tags"}.get(
        request.text("ResourceCollectionType"), ""
    )
    return {_COLLECTION: {part: kept[part]} if part in kept else {}}


def _stacks(collection: Members) -> list[object]:
    formation = collection.get("CloudFormation")
    return _listed(formation, "StackNames") if isinstance(formation, dict) else []


def _listed(members: Members, name: str) -> list[object]:
    value = members.get(name)
    return value if isinstance(value, list) else []


def _joined(kept: list[object], given: list[object], *, adding: bool) -> list[object]:
    rest = [item for item in kept if item not in given]
    return rest + given if adding else rest


def update_setting(name: str) -> Handler:
    """Return a handler that keeps the members of the structure ``name``."""

    def update(request: Request) -> Members:
        given = request.members.get(name, {})
        assert isinstance(given, dict)
        settings = request.scope.settings
        settings[name] = settings.get(name, {}) | given
        return {}

    return update


def describe_setting(name: str) -> Handler:
    """Return a handler that shows the structure ``name``."""

    def describe(request: Request) -> Members:
        return {name: request.scope.settings.get(name, {})}

    return describe


def put_feedback(request: Request) -> Members:
    """Refuse feedback on an insight that does not exist; without one, take nothing."""
    feedback = request.members.get("InsightFeedback")
    if isinstance(feedback, dict):
        raise request.not_found(f"Could not find insight {feedback.get('Id')}.")
    return {}


def start_cost_estimation(request: Request) -> Members:
    """Keep what to estimate."""
    request.scope.settings["CostEstimation"] = {_COLLECTION: request.members[_COLLECTION]}
    return {}


def get_cost_estimation(request: Request) -> Members:
    """Show an estimation of nothing. Raises: ClientError when none was started."""
    kept = request.scope.settings.get("CostEstimation")
    if kept is None:
        raise request.not_found("There is no cost estimation.")
    return kept | {"Status": "COMPLETED", "Costs": [], "TotalCost": 0.0}
