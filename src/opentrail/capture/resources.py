# SPDX-License-Identifier: Apache-2.0
"""The ``resources`` of an event: what it acted on, from the members of the request and the answer.

Source: CloudTrail User Guide, "Logging data events"; key order of delivered records.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from opentrail.capture.limits import ARN_BYTES_MAX, RESOURCES_MAX
from opentrail.capture.rules import KEYS, Named
from opentrail.event.place import partition_of

_ACCOUNT_AT = 4
"""Where an ARN has the account, counted in colons."""
_ACCOUNT = re.compile(r"[0-9]{12}\Z")
_ARN_PARTS = 7
"""Of an ARN with a kind before the name; what follows is a version."""

Members = Mapping[str, object]


class Resource(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry, in the order of delivered records; what is empty is left out."""

    account_id: str = msgspec.field(default="", name="accountId")
    """The owner's."""
    type: str = ""
    arn: str = msgspec.field(default="", name="ARN")
    arn_prefix: str = msgspec.field(default="", name="ARNPrefix")
    """In place of the ARN where a call lists what begins so."""


def resources(
    named: Sequence[Named], request: Members, answer: Members, account: str, region: str
) -> list[Resource]:
    """Return one entry for each different resource that the call names, in the order of ``named``.

    What can be no resource's name (a colon in it, too long) gives no entry.
    """
    found: dict[Resource, None] = {}
    for what in named:
        owner = _account(request.get(what.owner)) or account
        arns = list(_texts(answer, what.answer)) or [
            _arn(what, name, owner, region) for name in _texts(request, what.members, what.default)
        ]
        for arn in arns:
            is_one = arn.startswith("arn:") and re.match(what.pattern, arn)
            if is_one and len(found) < RESOURCES_MAX:
                found[Resource(_owner(arn) or owner, what.type, arn)] = None
    return list(found)


def _account(value: object) -> str:
    return value if isinstance(value, str) and _ACCOUNT.match(value) else ""


def _texts(members: Members, path: tuple[str, ...], default: str = "") -> Iterator[str]:
    """Yield the texts at the end of ``path``; a list on the way stands for its elements.

    ``default`` stands for what is not there.
    """
    found: list[object] = [members] if path else []
    for name in path:
        maps = [item for item in found if isinstance(item, dict)]
        inner = [*chain(*maps)] if name == KEYS else [item.get(name) for item in maps]
        found = [one for item in inner for one in (item if isinstance(item, list) else (item,))]
    for item in found:
        text = default if item is None else item
        if text and isinstance(text, str) and len(text.encode()) <= ARN_BYTES_MAX:
            yield text


def _arn(what: Named, named: str, account: str, region: str) -> str:
    """Return the ARN of what a request calls ``named``; "" when that can be no name."""
    if what.until:
        named = named.partition(what.until)[0]
    if what.of_account:
        account, named = _of_account(named, account)
    if named.startswith("arn:"):
        return named
    name = named
    if what.url:
        before, _, name = named.rpartition("/")
        owner = before.rpartition("/")[2]
        account = owner if _ACCOUNT.match(owner) else account
    if not what.arn or not name or ":" in name:
        return ""
    if what.kind:
        name = _of_kind(what.kind, name)
    return what.arn.format(
        partition=partition_of(region), region=region, account=account, name=name
    )


def _of_account(named: str, account: str) -> tuple[str, str]:
    """Return the account of a name that may have one, and the name, or the ARN, without version."""
    match named.split(":"):
        case ["arn", *_] as parts:
            return account, ":".join(parts[:_ARN_PARTS])
        case [owner, _, name, *_] if owner.isdigit():
            return owner, name
        case [name, *_]:
            return account, name
    return account, named


def _of_kind(kind: str, name: str) -> str:
    if "/" not in name:
        return kind + name
    return kind.rstrip("/") + name if name.startswith("/") else name


def _owner(arn: str) -> str:
    """Return the account that ``arn`` names; "" when it names none."""
    parts = arn.split(":", _ACCOUNT_AT + 1)
    return parts[_ACCOUNT_AT] if len(parts) > _ACCOUNT_AT and parts[_ACCOUNT_AT].isdigit() else ""
