# SPDX-License-Identifier: Apache-2.0
"""What ``search``, ``tail`` and ``expect`` share: the filters of the command line, and the log."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from opentrail.cli.options import log_of, settings_of
from opentrail.cli.times import seconds_of
from opentrail.errors import UsageError
from opentrail.eventlog.reader import SegmentReader
from opentrail.history.conditions import Condition, Is, all_of, any_of, fields_of
from opentrail.history.other_languages import FIELD_TYPED, JOINS, names_field
from opentrail.history.query import parse
from opentrail.history.search import Question, Searcher
from opentrail.history.table import TIME_MAX_S

DAY_S = 86_400

_Command = Callable[..., Any]


class Asked(msgspec.Struct, kw_only=True):
    """What the options of ``data_options``, ``filters`` and ``times`` say."""

    data: str | None = None
    listen: str | None = None
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    event_id: str | None = None
    event_name: str | None = None
    event_source: str | None = None
    username: str | None = None
    access_key_id: str | None = None
    read_only: str | None = None
    resource_type: str | None = None
    resource_name: str | None = None
    category: str | None = None
    since: str | None = None
    until: str | None = None


CATEGORIES = {
    "management": "Management",
    "data": "Data",
    "insight": "Insight",
    "network": "NetworkActivity",
    "all": "",
}
_FILTERS = {
    "event_id": "EventId",
    "event_name": "EventName",
    "event_source": "EventSource",
    "username": "Username",
    "access_key_id": "AccessKeyId",
    "read_only": "ReadOnly",
    "resource_type": "ResourceType",
    "resource_name": "ResourceName",
}


def filters(command: _Command) -> _Command:
    """Add the options that choose events."""
    options = (
        click.argument("query", nargs=-1),
        click.option(
            "--account", "accounts", multiple=True, help="Only this account's; repeatable."
        ),
        click.option("--region", "regions", multiple=True, help="Only of this region; repeatable."),
        click.option("--event-id", help="eventID."),
        click.option("--event-name", help='Operation, as in the record: "CreateEndpoint".'),
        click.option("--event-source", help='Service: "sagemaker.amazonaws.com".'),
        click.option("--username", help="User, or a role's session name."),
        click.option("--access-key-id", help="Access key of the caller."),
        click.option("--read-only", type=click.Choice(["true", "false"]), help="Reads or writes."),
        click.option("--resource-type", help='"AWS::SageMaker::Endpoint".'),
        click.option("--resource-name", help="Name or ARN of a resource."),
        click.option("--category", type=click.Choice(list(CATEGORIES)), help=_CATEGORY),
    )
    for option in reversed(options):
        command = option(command)
    return command


_CATEGORY = "[default: management, or what the query says]"


def times(command: _Command) -> _Command:
    """Add the options that choose a time."""
    since = click.option(
        "--since", "--start-time", "since", help="Oldest eventTime: 2h, yesterday, 2026-01-31 …"
    )
    until = click.option(
        "--until",
        "--end-time",
        "until",
        help="Newest eventTime, inclusive; a date is its beginning.",
    )
    return since(until(command))


def question_of(query: tuple[str, ...], asked: Asked) -> Question:
    """Return what a command line asks for. Raises: UsageError."""
    parts: list[Condition] = [parse(" ".join(query))]
    for argument in query:
        _refuse_ambiguous(argument)
    category = asked.category or ("all" if "Category" in fields_of(parts[0]) else "management")
    for key, name in _FILTERS.items():
        value: str | None = getattr(asked, key)
        if value is not None:
            parts.append(Is(name, value))
    for name, values in (
        ("Account", asked.accounts),
        ("Region", asked.regions),
        ("Category", (CATEGORIES[category],) if CATEGORIES[category] else ()),
    ):
        if values:
            parts.append(any_of([Is(name, value) for value in values]))
    return Question(all_of(parts), *_times(asked))


def _times(asked: Asked) -> tuple[int, int]:
    """Return the first and the last second that is asked for. Raises: UsageError."""
    since_s = seconds_of(asked.since, -TIME_MAX_S)
    until_s = seconds_of(asked.until, TIME_MAX_S - 1)
    if since_s > until_s:
        said = "no time is between"
        raise UsageError(f"--since {asked.since} is after --until {asked.until}: {said}")
    if since_s == until_s and since_s % DAY_S == 0 and ":" not in str(asked.until):
        raise UsageError(f"--until {asked.until} is the beginning of that day: write the next day")
    return math.ceil(since_s), math.floor(until_s)


def elsewhere(searcher: Searcher, query: tuple[str, ...], asked: Asked) -> str:
    """Return what to add where nothing was found and only the default category was looked at."""
    wider = question_of(query, msgspec.structs.replace(asked, category="all"))
    if asked.category is not None or not any(True for _ in searcher.newest(wider, 1)):
        return ""
    return "events of other categories match: add --category all"


_UNQUOTED = re.compile(rf"({FIELD_TYPED})\s*(!=|==?|!~|~)\s*([^\"'()=~]*[^\"'()=~\s])\s*")
_NOT_A_TEXT = re.compile(r"not(?: [a-z]+)+")
_WORD = r"(?!(?:and|or|not)\b)\S+"
_JOINED = re.compile(rf"\S+(?:\s+(?:and|or)(?:\s+not)*\s+{_WORD})*", re.IGNORECASE)


def _refuse_ambiguous(argument: str) -> None:
    """Refuse what may be one value: a shell takes the quotes of ``field="is not there"``.

    Raises: UsageError.
    """
    if _NOT_A_TEXT.fullmatch(argument):
        raise UsageError(
            f"{argument} may be a text, or ask for records without one: write '\"{argument}\"' with these "
            f"quotes, or 'not \"{argument[len('not ') :]}\"'"
        )
    found = _UNQUOTED.fullmatch(argument)
    if found is None or _JOINED.fullmatch(found[3]):
        return
    field, _, value = found.groups()
    behind = (word for word in value.split()[1:] if word.lower() not in JOINS)
    if not all(map(names_field, behind)):
        raise UsageError(
            f"{argument} may be one value or several conditions: write '{field}{found[2]}\"{value}\"' "
            "with these quotes, or join the conditions by and"
        )


def open_log(config: Path | None, asked: Asked) -> tuple[Path, SegmentReader]:
    """Return the data directory and its log. Raises: UsageError. Unavailable. Corrupt."""
    settings = settings_of(config, {"data": asked.data, "listen.address": asked.listen})
    return settings.data_dir, SegmentReader(log_of(settings))
