# SPDX-License-Identifier: Apache-2.0
"""Feature Store's online store: the newest record of each identifier, by event time."""

from opentrail.errors import ClientError
from opentrail.sandbox.request import Request
from opentrail.sandbox.shapes import Members
from opentrail.sandbox.state import RECORDS_MAX, FeatureRecord, Resource

BATCH_MAX = 100
"""Identifiers of one BatchGetRecord: the API's bound."""


def put_record(request: Request) -> Members:
    """Keep a record, unless a newer one is kept already."""
    group = _group(request, request.text("FeatureGroupName"))
    features = request.structures("Record")
    values = {str(item["FeatureName"]): item.get("ValueAsString") for item in features}
    for name in values:
        if name not in _defined(group):
            raise request.bad_input(f"The feature group does not define the feature {name}.")
    identifier = values.get(str(group.members["RecordIdentifierFeatureName"]))
    event_time = values.get(str(group.members["EventTimeFeatureName"]))
    if not isinstance(identifier, str) or not isinstance(event_time, str):
        raise request.bad_input("The record lacks its record identifier or its event time.")
    _keep(request, group, identifier, FeatureRecord(event_time, tuple(features)))
    return {}


def get_record(request: Request) -> Members:
    """Show a record, or nothing when there is none, as Feature Store does."""
    group = _group(request, request.text("FeatureGroupName"))
    identifier = request.text("RecordIdentifierValueAsString")
    record = _shown(request, group, identifier, request.listed("FeatureNames"))
    return {"Record": record} if record else {}


def delete_record(request: Request) -> Members:
    """Mark a record as deleted, unless a newer one is kept."""
    group = _group(request, request.text("FeatureGroupName"))
    identifier = request.text("RecordIdentifierValueAsString")
    gone = FeatureRecord(request.text("EventTime"), (), deleted=True)
    _keep(request, group, identifier, gone)
    return {}


def batch_get_record(request: Request) -> Members:
    """Show the records of several identifiers in several feature groups."""
    wanted = request.structures("Identifiers")
    pairs = [(item, str(value)) for item in wanted for value in _values(item)]
    if not 1 <= len(pairs) <= BATCH_MAX:
        raise request.bad_input(f"Between 1 and {BATCH_MAX} identifiers are allowed.")
    records: list[Members] = []
    errors: list[Members] = []
    for item, identifier in pairs:
        name = str(item["FeatureGroupName"])
        place: Members = {
            "FeatureGroupName": name,
            "RecordIdentifierValueAsString": identifier,
        }
        group = _find(request, name)
        if group is None:
            text = f"Could not find feature group {name}."
            errors.append(place | {"ErrorCode": "ResourceNotFound", "ErrorMessage": text})
            continue
        names = item.get("FeatureNames")
        record = _shown(request, group, identifier, names if isinstance(names, list) else [])
        if record:
            records.append(place | {"Record": record})
    return {"Records": records, "Errors": errors, "UnprocessedIdentifiers": []}


def _values(item: Members) -> list[object]:
    values = item["RecordIdentifiersValueAsString"]
    assert isinstance(values, list)
    return values


def _find(request: Request, name: str) -> Resource | None:
    """Return a feature group by its name or its ARN."""
    scope = request.scope
    arn = name
    if not name.startswith("arn:"):
        arn = f"arn:aws:sagemaker:{scope.region}:{scope.account}:feature-group/{name}"
    return scope.resources.get(arn)


def _group(request: Request, name: str) -> Resource:
    group = _find(request, name)
    if group is None:
        raise request.not_found(f"Could not find feature group {name}.")
    return group


def _defined(group: Resource) -> set[str]:
    definitions = group.members["FeatureDefinitions"]
    assert isinstance(definitions, list)
    return {item["FeatureName"] for item in definitions}


def _keep(request: Request, group: Resource, identifier: str, record: FeatureRecord) -> None:
    """Keep ``record`` where it is not older than what is there. Raises: ClientError when full."""
    scope = request.scope
    records = scope.records.setdefault(group.arn, {})
    kept = records.get(identifier)
    if kept is None:
        if scope.records_count >= RECORDS_MAX:
            text = f"The stand-in holds at most {RECORDS_MAX} records."
            raise ClientError("ServiceUnavailable", text, 503)
        scope.records_count += 1
    elif _moment(record.event_time) < _moment(kept.event_time):
        return
    records[identifier] = record


def _moment(event_time: str) -> tuple[float, str]:
    """Return what orders event times: seconds since 1970, or ISO 8601 texts among themselves."""
    try:
        return float(event_time), ""
    except ValueError:
        return 0.0, event_time


def _shown(
    request: Request, group: Resource, identifier: str, names: list[object]
) -> list[Members]:
    record = request.scope.records.get(group.arn, {}).get(identifier)
    if record is None or record.deleted:
        return []
    return [item for item in record.features if not names or item["FeatureName"] in names]
