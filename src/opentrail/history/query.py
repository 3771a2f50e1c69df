# SPDX-License-Identifier: Apache-2.0
"""What ``opentrail search`` is asked: conditions on events, joined by and, or, not. Pure.

    EventName=Create* and not Username=ci       attributes of LookupEvents, * at the end or anywhere
    requestParameters.bucketName=logs           any field of the record, by its path
    sourceIPAddress=10.0.0.0/8                  an address in a network
    errorCode                                   the field is there, and is not null
    errorMessage~"not authorized"               the value contains the text, in any case of letters
    "AKIAIOSFODNN7EXAMPLE"                      the text is anywhere in the record

Conditions that stand side by side are joined by and; or binds less; brackets group. Quotes are "…", in which
a backslash takes the next character as it is (an asterisk, too), or '…'. There may be blanks around =, !=, ~ and !~.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from opentrail.errors import UsageError
from opentrail.history.conditions import (
    Condition,
    Everything,
    Not,
    Text,
    There,
    all_of,
    any_of,
    condition,
)
from opentrail.history.other_languages import (
    FIELD_TYPED,
    JOINS,
    bare_field,
    check_network,
    instead_of_condition,
    instead_of_word,
    names_field,
)

QUERY_CHARS_MAX = 10_000
"""Longer than anybody writes; what a request may have parsed."""
DEPTH_MAX = 50
"""Of brackets and nots in each other."""


_QUOTED = r""""(?:[^"\\]|\\.)*"|'[^']*'(?![^\s()])"""
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<bracket>[()])
    | (?P<field>{FIELD_TYPED})\s*(?P<operator>!=|==?|!~|~)(?P<gap>\s*)(?P<value>{_QUOTED}|[^\s()]*)
    | (?P<quoted>{_QUOTED})
    | (?P<word>[^\s()"]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = '"\\*'
"""What may stand behind a backslash in "…"; who writes "CORP\\ada" would look for CORPada."""
_NO_ESCAPE = r"""in "…" a backslash before another sign than ", \ and * (write \\ for itself, or '…' around)"""
_ENDS = re.compile(r"\s|\)|\Z")
"""What may follow a condition."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """"(", ")", "and", "or", "not", or "is" with a condition."""
    at: int
    condition: Condition | None = None


def parse(text: str) -> Condition:
    """Return what ``text`` asks for. Raises: UsageError: it says where it cannot be understood."""
    if len(text) > QUERY_CHARS_MAX:
        raise UsageError(f"the query has {len(text)} characters; {QUERY_CHARS_MAX} at most")
    return _Parser(list(_tokens(text)), text).whole()


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise UsageError(_where(text, at, "a quote that does not end"))
        yield _token(found, text)
        at = found.end()


def _token(found: re.Match[str], text: str) -> _Token:
    at = found.start(found.lastgroup or 0)
    kind = found["bracket"] or (found["word"] or "").lower()
    if kind in ("(", ")", *JOINS):
        return _Token(kind, at)
    _refuse_other_languages(found, text)
    if not _ENDS.match(text, found.end()):
        what = "no blank behind a condition (a value with brackets or quotes in it goes in quotes)"
        raise UsageError(_where(text, found.start(), what))
    if found["field"]:
        parts = _parts(found["value"], text, at)
        operator = found["operator"].replace("==", "=")
        return _Token("is", at, condition(found["field"], operator, parts))
    if found["word"] and names_field(found["word"]):
        return _Token("is", at, There(bare_field(found["word"])))
    return _Token("is", at, Text(_unquoted(found["quoted"] or found["word"], text, at)))


def _refuse_other_languages(found: re.Match[str], text: str) -> None:
    """Refuse what another language's query has there. Raises: UsageError."""
    word, field, value = found["word"], found["field"], found["value"]
    instead = None
    if word:
        instead = instead_of_word(word)
    elif field and not re.fullmatch(_QUOTED, value, re.DOTALL):
        if "~" not in found["operator"]:
            check_network(value)
        parted = bool(found["gap"])
        instead = instead_of_condition(field, found["operator"], value, parted=parted)
    if instead is not None:
        start = found.start("word" if word else "field")
        said = f"in a query {instead}; what is meant as a text goes in quotes"
        raise UsageError(f"{said}: …{text[start : start + 40]}")


def _unquoted(text: str, query: str, at: int) -> str:
    return "*".join(_parts(text, query, at))


def _parts(text: str, query: str, at: int) -> list[str]:
    """Return what stands between a value's asterisks; behind a backslash in "…" they are text."""
    if re.fullmatch(r"'[^']*'", text):
        return text[1:-1].split("*")
    if not text.startswith('"'):
        return text.split("*")
    if len(text) < len('""') or not text.endswith('"'):
        raise UsageError(_where(query, at, "a quote that does not end"))
    parts = [""]
    for escaped, plain in re.findall(r"\\(.)|([^\\])", text[1:-1], re.DOTALL):
        if escaped and escaped not in _ESCAPED:
            raise UsageError(_where(query, at, _NO_ESCAPE))
        if plain == "*":
            parts.append("")
        else:
            parts[-1] += escaped or plain
    return parts


def _where(text: str, at: int, what: str) -> str:
    return f"the query has {what} here: …{text[at : at + 40]}"


class _Parser:
    def __init__(self, tokens: list[_Token], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._next = 0
        self._depth = 0

    def whole(self) -> Condition:
        if not self._tokens:
            return Everything()
        found = self._any()
        if self._next < len(self._tokens):
            raise self._wrong("a bracket that was not opened")
        return found

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._at("or"):
            self._next += 1
            parts.append(self._all())
        return any_of(parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._next < len(self._tokens) and not self._at("or", ")"):
            if self._at("and"):
                self._next += 1
            parts.append(self._one())
        return all_of(parts)

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._wrong(f"more than {DEPTH_MAX} brackets and nots in each other")
        found = self._inner()
        self._depth -= 1
        return found

    def _inner(self) -> Condition:
        if self._next == len(self._tokens):
            last = self._text[self._tokens[-1].at :].strip()
            raise UsageError(
                f"the query ends where a condition should follow {last}: write FIELD=VALUE or a text "
                f'behind it; "{last}" in quotes is a text'
            )
        token = self._tokens[self._next]
        self._next += 1
        if token.kind == "not":
            return Not(self._one())
        if token.kind == "(":
            found = self._any()
            if not self._at(")"):
                raise self._wrong("a bracket that is not closed")
            self._next += 1
            return found
        if token.condition is None:
            self._next -= 1
            raise self._wrong("no condition, as FIELD=VALUE or a text,")
        return token.condition

    def _at(self, *kinds: str) -> bool:
        return self._next < len(self._tokens) and self._tokens[self._next].kind in kinds

    def _wrong(self, what: str) -> UsageError:
        at = self._tokens[min(self._next, len(self._tokens) - 1)].at
        return UsageError(_where(self._text, at, what))
