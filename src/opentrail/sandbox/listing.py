# SPDX-License-Identifier: Apache-2.0
"""A page of resources: filters, order and tokens as the services' List operations have them."""

import base64
import binascii
from collections.abc import Callable

import msgspec

from opentrail.errors import ClientError
from opentrail.sandbox.request import Request
from opentrail.sandbox.shapes import Members, input_members, modelled_code
from opentrail.sandbox.state import Resource

PAGE_DEFAULT = 10
"""SageMaker's page; Personalize's is 100, and its model says so nowhere: ten serves both."""
PAGE_MAX = 100
"""Of both services."""
_NOT_FILTERS = frozenset(
    {"SortBy", "SortOrder", "MaxResults", "maxResults", "NextToken", "nextToken"}
)

Found = tuple[Resource, Members]
"""A resource and all that can be shown of it."""
_Key = tuple[str, int]
"""Where a resource stands in the order: what is sorted by, then the order of creation."""
_TOKEN = msgspec.json.Decoder(tuple[str, int])


def page(request: Request, status_member: str, found: list[Found]) -> tuple[list[Members], str]:
    """Return a page of what passes the call's filters, and the token of the next, or "".

    A token holds the last shown resource's place in the order, so pages neither repeat nor skip
    what exists while others come and go. Raises: ClientError for a bad token or page size.
    """
    size = _page_size(request)
    descending = request.members.get("SortOrder", "Descending") == "Descending"
    after = _parse_token(request)
    keyed = sorted(
        ((_key(request, status_member, item), item[1]) for item in found if _wanted(request, item)),
        key=lambda pair: pair[0],
        reverse=descending,
    )
    rest = [
        (key, source)
        for key, source in keyed
        if after is None or (key < after if descending else key > after)
    ]
    token = _token(rest[size - 1][0]) if len(rest) > size else ""
    return [source for _, source in rest[:size]], token


def _page_size(request: Request) -> int:
    size = request.members.get("MaxResults", request.members.get("maxResults", PAGE_DEFAULT))
    if not isinstance(size, int) or not 1 <= size <= PAGE_MAX:
        raise request.bad_input(f"MaxResults must be between 1 and {PAGE_MAX}.")
    return size


def _key(request: Request, status_member: str, item: Found) -> _Key:
    resource, source = item
    sort_by = request.text("SortBy")
    if sort_by == "Name":
        return _name(resource), resource.serial
    if sort_by.endswith("Status"):
        return str(source.get(status_member, "")), resource.serial
    if sort_by.startswith("LastModified"):
        return f"{resource.changed_ms:020d}", resource.serial
    return "", resource.serial


def _name(resource: Resource) -> str:
    return resource.arn.rpartition("/")[2]


def _token(key: _Key) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode()


def _parse_token(request: Request) -> _Key | None:
    text = request.text("NextToken") or request.text("nextToken")
    if not text:
        return None
    try:
        return _TOKEN.decode(base64.urlsafe_b64decode(text))
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        code = modelled_code(request.operation, "InvalidNextTokenException")
        raise ClientError(code or request.validation_code, "The token is not valid.") from None


def _wanted(request: Request, item: Found) -> bool:
    known = input_members(request.operation)
    return all(
        _passes(name, value, item)
        for name, value in request.members.items()
        if name in known and name not in _NOT_FILTERS
    )


def _passes(name: str, value: object, item: Found) -> bool:
    """Return whether a resource passes one filter."""
    resource, source = item
    for suffix, test in _FILTERS.items():
        if name.endswith(suffix):
            return test(resource, value)
    return _same(source, name.removesuffix("Equals"), value)


def _same(source: Members, name: str, value: object) -> bool:
    if name == "Status":
        return any(source[key] == value for key in source if key.endswith("Status"))
    if name == "solutionArn" and name not in source:
        return str(source.get("solutionVersionArn", "")).startswith(f"{value}/")
    return source.get(name) == value


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


_FILTERS: dict[str, Callable[[Resource, object], bool]] = {
    "NameContains": lambda resource, value: str(value).lower() in _name(resource).lower(),
    "NamePrefix": lambda resource, value: _name(resource).startswith(str(value)),
    "LastModifiedTimeAfter": lambda item, value: item.changed_ms / 1000 > _seconds(value),
    "LastModifiedTimeBefore": lambda item, value: item.changed_ms / 1000 < _seconds(value),
    "After": lambda resource, value: resource.created_ms / 1000 > _seconds(value),
    "Before": lambda resource, value: resource.created_ms / 1000 < _seconds(value),
}
"""End of a filter's name -> what passes it; the longer ends first."""
