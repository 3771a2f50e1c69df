# SPDX-License-Identifier: Apache-2.0
"""Create, Describe, List, Update, Delete, Start and Stop for any noun, driven by its model."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from opentrail.aws.model import Operation
from opentrail.errors import ClientError
from opentrail.sandbox.listing import page
from opentrail.sandbox.nouns import REFERS_BY_ARN, Life, Noun
from opentrail.sandbox.request import Request
from opentrail.sandbox.shapes import Members, find_operation, output_members
from opentrail.sandbox.state import Resource, Step

_FIELD = re.compile(r"\{(\w+)(?::(\w+))?\}")

_CREATED = ("CreationTime", "CreatedAt", "CreateDate", "CreatedDate", "creationDateTime")
_CHANGED = (
    "LastModifiedTime",
    "LastModifiedDate",
    "LastUpdatedDate",
    "LastUpdateDate",
    "UpdatedAt",
    "lastUpdatedDateTime",
)
"""What the services call the two times of a resource."""


def _nothing(_request: Request, _resource: Resource) -> Members:
    return {}


@dataclass(frozen=True, slots=True)
class Special:
    """What a noun does besides the common: each returns members, which the answer may show."""

    check: Callable[[Request], None] = lambda _request: None
    """Before it is made: Raises ClientError."""
    created: Callable[[Request, Resource], Members] = _nothing
    """Its members are kept."""
    described: Callable[[Request, Resource], Members] = _nothing
    """Its members are made anew for each Describe and List."""
    updated: Callable[[Request, Resource], Members] = _nothing
    """Its members are kept."""
    stopped: Callable[[Request, Resource], Members] = _nothing
    """Its members are kept."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A noun together with what its model says."""

    service: str
    noun: Noun
    arn_member: str
    """As in the Create operation's output."""
    name_member: str
    """The member that may hold an ARN instead of a name; empty when there is none."""
    status_member: str
    wrapper: str
    """The one member that a Describe answer is wrapped in, as Personalize does; else empty."""
    special: Special

    @property
    def words(self) -> str:
        """The noun in words, for messages: "endpoint configuration"."""
        text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.noun.name).lower()
        return re.sub(r"\bconfig\b", "configuration", text)


def kind_of(service: str, noun: Noun, special: Special) -> Kind:
    """Join a noun with its model."""
    create = find_operation(service, f"Create{noun.name}")
    describe = find_operation(service, f"Describe{noun.name}")
    if create is None or describe is None:
        raise AssertionError(f"{service} does not know {noun.name}")
    members = output_members(describe)
    wrapper = next(iter(members)) if len(members) == 1 else ""
    names = members[wrapper].shape.members if wrapper else members
    fields = [found[0] for found in _FIELD.findall(noun.path)]
    return Kind(
        service,
        noun,
        arn_member=next(name for name in output_members(create) if name.endswith("Arn")),
        name_member=fields[-1],
        status_member=next((name for name in names if name.lower().endswith("status")), ""),
        wrapper=wrapper,
        special=special,
    )


def create(kind: Kind, request: Request) -> Members:
    """Make a resource. Nothing is kept when it is refused."""
    _check_refers(kind, request)
    kind.special.check(request)
    members = dict(request.members)
    for name, pattern in kind.noun.generated.items():
        members[name] = pattern.format(request.ids.random_bytes(6).hex())
    arn = _built_arn(kind, request, members)
    if arn in request.scope.resources:
        raise request.taken(f'Cannot create already existing {kind.words} "{arn}".')
    request.scope.room_for(1, request.limit_code)
    request.scope.tag(arn, request_tags(members), request.validation_code)
    resource = request.scope.add(kind.noun.name, arn, members, request.now_ms)
    if kind.noun.life:
        resource.steps = _grown(kind.noun.life, kind.noun.life.first, request)
    resource.members |= kind.special.created(request, resource)
    return source_of(kind, request, resource)


def describe(kind: Kind, request: Request) -> Members:
    """Show a resource."""
    source = source_of(kind, request, find(kind, request))
    return {kind.wrapper: source} if kind.wrapper else source


def list_resources(kind: Kind, request: Request) -> Members:
    """Show a page of the noun's resources, newest first unless asked otherwise."""
    found = [(item, source_of(kind, request, item)) for item in request.scope.of(kind.noun.name)]
    shown, token = page(request, kind.status_member, found)
    answer: Members = {listed_member(request.operation): shown}
    return answer | {token_member(request.operation): token} if token else answer


def update(kind: Kind, request: Request) -> Members:
    """Replace the members that the call names."""
    resource = find(kind, request)
    _check_refers(kind, request)
    resource.members |= {
        # A name may be given as an ARN or in another case: it stays as it was made.
        name: value
        for name, value in request.members.items()
        if name not in (kind.arn_member, kind.name_member)
    }
    resource.members |= kind.special.updated(request, resource)
    resource.changed_ms = request.now_ms
    if kind.noun.life and kind.noun.life.updating:
        resource.steps = _grown(kind.noun.life, kind.noun.life.updating, request)
    return source_of(kind, request, resource)


def delete(kind: Kind, request: Request) -> Members:
    """Forget a resource; a job that still runs is refused where the model has an error for it."""
    resource = find(kind, request)
    answer = source_of(kind, request, resource)
    life = kind.noun.life
    ended = life is None or resource.status(request.now_ms) in (life.settled, life.stopped)
    if life and life.is_job and not ended:
        raise request.busy(f"The {kind.words} has not ended: {resource.arn}")
    request.scope.remove(resource.arn)
    return answer


def stop(kind: Kind, request: Request) -> Members:
    """Let a resource come to its stop."""
    resource = find(kind, request)
    life = kind.noun.life
    status = resource.status(request.now_ms)
    if life is None or not running(life, status):
        text = f"The request was rejected because the {kind.words} is in status {status}."
        raise request.busy(text)
    halt(life, resource, request)
    resource.members |= kind.special.stopped(request, resource)
    return source_of(kind, request, resource)


def start(kind: Kind, request: Request) -> Members:
    """Start again what was stopped."""
    resource = find(kind, request)
    life = kind.noun.life
    status = resource.status(request.now_ms)
    if life is None or status != life.stopped:
        raise request.busy(f"The {kind.words} is in status {status}, not stopped.")
    resource.changed_ms = request.now_ms
    resource.steps = _grown(life, life.first, request)
    return source_of(kind, request, resource)


VERBS: dict[str, Callable[[Kind, Request], Members]] = {
    "Create": create,
    "Describe": describe,
    "List": list_resources,
    "Update": update,
    "Delete": delete,
    "Stop": stop,
    "Start": start,
}
"""Verb of an operation -> what it does to a noun."""


def running(life: Life, status: str) -> bool:
    """Return whether something in this status can be stopped."""
    return status not in (life.stopping, life.stopped) and not (
        life.is_job and status == life.settled
    )


def halt(life: Life, resource: Resource, request: Request) -> None:
    """Let a resource be stopping now, and stopped when the pace has it so."""
    resource.changed_ms = request.now_ms
    resource.steps = (
        Step(request.now_ms, life.stopping),
        Step(request.now_ms + request.pace.settle_ms, life.stopped),
    )


def find(kind: Kind, request: Request) -> Resource:
    """Return the resource that a call names. Raises: ClientError when there is none."""
    arn = _arn(kind, request)
    found = request.scope.resources.get(arn)
    if found is None or found.noun != kind.noun.name:
        raise request.not_found(f'Could not find {kind.words} "{arn}".')
    return found


def source_of(kind: Kind, request: Request, resource: Resource) -> Members:
    """Return all that can be shown of a resource; an answer is cut from it."""
    source: Members = dict(resource.members)
    source[kind.arn_member] = resource.arn
    source |= dict.fromkeys(_CREATED, resource.created_ms / 1000)
    source |= dict.fromkeys(_CHANGED, resource.changed_ms / 1000)
    if resource.steps:
        source[kind.status_member] = resource.status(request.now_ms)
    return source | kind.special.described(request, resource)


def listed_member(operation: Operation) -> str:
    """Return the output member that holds a List operation's page."""
    return next(
        name for name, member in output_members(operation).items() if member.shape.kind == "list"
    )


def token_member(operation: Operation) -> str:
    """Return the output member that holds the token of the next page."""
    return next(name for name in output_members(operation) if name.lower() == "nexttoken")


def request_tags(members: Members) -> dict[str, str]:
    """Return the tags of a call, in SageMaker's or in Personalize's spelling."""
    listed = members.get("Tags", members.get("tags", []))
    pairs = [tag for tag in listed if isinstance(tag, dict)] if isinstance(listed, list) else []
    return {
        str(tag.get("Key", tag.get("tagKey"))): str(tag.get("Value", tag.get("tagValue")))
        for tag in pairs
    }


def _grown(life: Life, first: str, request: Request) -> tuple[Step, Step]:
    wait_ms = request.pace.job_ms if life.is_job else request.pace.settle_ms
    return Step(request.now_ms, first), Step(request.now_ms + wait_ms, life.settled)


def _arn(kind: Kind, request: Request) -> str:
    """Return the ARN that a call means: given as such, or built from the names in it."""
    for member in (kind.arn_member, kind.name_member):
        given = request.text(member)
        if given.startswith("arn:"):
            return given
    return _built_arn(kind, request, request.members)


def _built_arn(kind: Kind, request: Request, members: Members) -> str:
    scope = request.scope
    path = _FIELD.sub(lambda found: _filled(found, members), kind.noun.path)
    return f"arn:aws:{kind.service}:{scope.region}:{scope.account}:{path}"


def _filled(found: re.Match[str], members: Members) -> str:
    value = str(members.get(found[1], ""))
    if found[2] == "tail":
        return value.rpartition("/")[2]
    if found[2] == "lower":
        return value.lower()
    return value.upper() if found[2] == "upper" else value


def _check_refers(kind: Kind, request: Request) -> None:
    """Check that the resources that a call names exist. Raises: ClientError."""
    if kind.service == "personalize":
        _check_refers_by_arn(kind, request)
    for member, noun in kind.noun.refers.items():
        value = request.text(member)
        if member in request.members and named(request, noun, value) is None:
            raise _missing(request, noun, value)


def _check_refers_by_arn(kind: Kind, request: Request) -> None:
    for member, noun in REFERS_BY_ARN.items():
        arn = request.text(member)
        resource = request.scope.resources.get(arn)
        if member not in request.members or member == kind.arn_member:
            continue
        if resource is None or resource.noun != noun:
            raise request.not_found(f"Could not find {noun} {arn}.")


def named(request: Request, noun: str, name: str) -> Resource | None:
    """Return a SageMaker resource by its name, in whatever case, or by its ARN; None if none."""
    tail = f"/{name.rpartition('/')[2]}".lower()
    return next((item for item in request.scope.of(noun) if item.arn.lower().endswith(tail)), None)


def _missing(request: Request, noun: str, name: str) -> ClientError:
    return request.not_found(f'Could not find {noun} "{name}".')
