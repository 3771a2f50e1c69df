# SPDX-License-Identifier: Apache-2.0
"""AddTags, RemoveTags, ListTags: of trails.

Follows the CloudTrail API Reference, operations of these names and data type 'Tag'.
"""

from collections.abc import Iterable, Mapping

from opentrail.errors import ClientError
from opentrail.trails.names import parse_arn
from opentrail.trails.trail import Trail
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import (
    AddTagsRequest,
    AddTagsResponse,
    ListTagsRequest,
    ListTagsResponse,
    RemoveTagsRequest,
    RemoveTagsResponse,
    ResourceTag,
    Tag,
)
from opentrail.wire.which_trail import check_manages, manages, wrong_account, wrong_region

TAGS_MAX = 50
"""Of one trail; CloudTrail's quota."""
KEY_CHARS_MAX = 128
VALUE_CHARS_MAX = 256
"""The service model's bounds."""
RESOURCES_MAX = 20
"""ARNs in one ListTags; CloudTrail's quota."""
RESERVED_PREFIX = "aws:"
"""No user's tag begins so."""


def add_tags(rooms: Rooms, scope: Scope, request: AddTagsRequest) -> AddTagsResponse:
    """Add tags to a trail; a key that is there gets the new value.

    Raises: ClientError: InvalidTagParameterException, TagsLimitExceededException and those of the
    ARN. Unavailable.
    """
    added = _given(request.tags_list)
    with rooms.trails.changing():
        trail = _changed(rooms, scope, request.resource_id)
        tags = rooms.trails.tags(trail.id) | added
        check_count(tags)
        rooms.trails.put_tags(trail.id, tags)
    return AddTagsResponse()


def remove_tags(rooms: Rooms, scope: Scope, request: RemoveTagsRequest) -> RemoveTagsResponse:
    """Remove the tags with these keys, whatever their values; absent ones do not matter.

    Raises: ClientError: InvalidTagParameterException and those of the ARN. Unavailable.
    """
    removed = _given(request.tags_list)
    with rooms.trails.changing():
        trail = _changed(rooms, scope, request.resource_id)
        tags = rooms.trails.tags(trail.id)
        rooms.trails.put_tags(
            trail.id, {key: value for key, value in tags.items() if key not in removed}
        )
    return RemoveTagsResponse()


def list_tags(rooms: Rooms, scope: Scope, request: ListTagsRequest) -> ListTagsResponse:
    """Return the tags of up to 20 trails, in one page.

    A member sees its organization's trails, and not their tags. Raises: ClientError. Unavailable.
    """
    arns = request.resource_id_list or []
    if not 1 <= len(arns) <= RESOURCES_MAX:
        message = f"ResourceIdList takes 1 to {RESOURCES_MAX} ARNs."
        raise ClientError("CloudTrailARNInvalidException", message)
    trails = [_tagged(rooms, scope, arn) for arn in arns]
    if not all(manages(rooms, scope, trail) for trail in trails):
        raise wrong_account(scope)
    return ListTagsResponse(
        resource_tag_list=[
            ResourceTag(resource_id=trail.arn, tags_list=_shown(rooms.trails.tags(trail.id)))
            for trail in trails
        ]
    )


def _given(tags: Iterable[Tag] | None) -> dict[str, str]:
    """Return the tags of a request that must have some. Raises: ClientError."""
    if tags is None:
        raise _bad_tag("TagsList is required.")
    return tags_of(tags)


def tags_of(given: Iterable[Tag] | None) -> dict[str, str]:
    """Return the tags of a request. Raises: ClientError InvalidTagParameterException."""
    tags: dict[str, str] = {}
    for tag in given or ():
        key, value = tag.key or "", tag.value or ""
        _check(key, value)
        if key in tags:
            raise _bad_tag(f"The tag key {key!r} is there twice.")
        tags[key] = value
    return tags


def check_count(tags: Mapping[str, str]) -> None:
    """Raise ClientError TagsLimitExceededException when a trail cannot have so many tags."""
    if len(tags) > TAGS_MAX:
        message = f"A trail has {TAGS_MAX} tags at most; it would have {len(tags)}."
        raise ClientError("TagsLimitExceededException", message)


def _check(key: str, value: str) -> None:
    if not 1 <= len(key) <= KEY_CHARS_MAX:
        raise _bad_tag(f"A tag's key has 1 to {KEY_CHARS_MAX} characters.")
    if len(value) > VALUE_CHARS_MAX:
        raise _bad_tag(f"A tag's value has {VALUE_CHARS_MAX} characters at most.")
    if key.lower().startswith(RESERVED_PREFIX):
        raise _bad_tag(f"A tag's key must not begin with {RESERVED_PREFIX}")


def _bad_tag(message: str) -> ClientError:
    return ClientError("InvalidTagParameterException", message)


def _changed(rooms: Rooms, scope: Scope, arn: str | None) -> Trail:
    """Return the trail whose tags are to be changed: in its home region only.

    The model lets neither operation answer InvalidHomeRegionException.
    """
    trail = _tagged(rooms, scope, arn)
    if trail.home_region != scope.region:
        raise wrong_region(scope)
    check_manages(rooms, scope, trail)
    return trail


def _tagged(rooms: Rooms, scope: Scope, arn: str | None) -> Trail:
    """Return the trail of that ARN; tags are not found by a bare name."""
    given = arn or ""
    if parse_arn(given).kind != "trail":
        message = f"OpenTrail has tags for trails only, so far: {given}"
        raise ClientError("ResourceTypeNotSupportedException", message)
    found = rooms.trails.find(scope.account, scope.region, given)
    if found is None and parse_arn(given).account != scope.account:
        raise wrong_account(scope)
    if found is None and parse_arn(given).region != scope.region:
        raise wrong_region(scope)
    if found is None:
        raise ClientError("ResourceNotFoundException", f"There is no trail {given}.")
    return found


def _shown(tags: Mapping[str, str]) -> list[Tag]:
    return [Tag(key=key, value=value) for key, value in tags.items()]
