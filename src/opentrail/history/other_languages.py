# SPDX-License-Identifier: Apache-2.0
"""What other languages write in a query, and what stands for it here. Pure.

Taken as it stands it would be a text that no record has, or all have: an answer that nobody asked for.
"""

import re

from opentrail.errors import UsageError
from opentrail.event.record import FIELD_ORDER
from opentrail.history.conditions import field_name, is_own, network

JOINS = frozenset({"and", "or", "not"})
FIELD_TYPED = r"[A-Za-z][\w.:/#$@-]*"
"""Names that a query can have. Records have others, with anything in them."""

_AS_WORDS = "and, or, not are written as words"
_CONDITIONS = "conditions are FIELD=VALUE, FIELD!=VALUE, FIELD=Create*, FIELD~text and FIELD alone"
_ORDER = (
    "values are not compared by < and >: --since and --until (over HTTP startTime and endTime) "
    "say from when to when"
)
_PATTERNS = "~ alone asks for a text, and * in a value stands for anything"
_QUOTE = """quotes are "…" or '…', around the whole of a value or text"""

_WORDS = (
    (re.compile(r"&&?|\|\|?|!\S*"), _AS_WORDS),
    (re.compile(r"[A-Za-z][\w.]*[<>].*|[<>]=?\d*"), _ORDER),
    (re.compile(r"in", re.IGNORECASE), "alternatives are joined by or: (a=1 or a=2)"),
    (
        re.compile(
            r"(?:not_?)?(?:i?like|rlike|regexp?|matches|contains|between|exists)|is|isnot|eq|ne|equals"
            r"|(?:starts|begins|ends)_?with|select|where",
            re.IGNORECASE,
        ),
        _CONDITIONS,
    ),
    (re.compile(r".*[=~].*"), f"{_CONDITIONS}; a field begins with a letter"),
    (re.compile(r".*\*.*"), "* stands for anything in a value only: FIELD=Create*"),
    (re.compile(r"[\u2018-\u201f\u00ab'].*"), _QUOTE),
)
"""Bare words, and what is written instead."""
_VALUES = (
    (re.compile(r"~.*"), _PATTERNS),
    (re.compile(r"<(?!.*>$).*|>.*"), _ORDER),
    (re.compile(r"[=!].*"), _CONDITIONS),
    (re.compile(r"[\u2018-\u201f\u00ab'].*|[^\"].*\".*", re.DOTALL), _QUOTE),
    (
        re.compile(r"null", re.IGNORECASE),
        "FIELD alone asks whether it is there, not FIELD for none",
    ),
)
"""Values without quotes, and what is written instead."""
_TOP = {name.lower(): name for name in FIELD_ORDER}


def names_field(word: str) -> bool:
    """Return whether a bare word is the name of a field rather than a text to look for."""
    return is_own(word) or word.lower().split(".", 1)[0] in _TOP


def bare_field(word: str) -> str:
    """Return the field that ``word`` alone asks for: the record's own, if it can have such a one.

    ``readOnly`` is there or not, whereas the attribute ReadOnly is worked out where it is not.
    """
    return _TOP.get(word.lower()) or field_name(word)


def instead_of_word(word: str) -> str | None:
    """Return what is written instead of a bare ``word``; None: it is a field or a text."""
    return _colon(word) or _first(_WORDS, word)


def instead_of_condition(field: str, operator: str, value: str, *, parted: bool) -> str | None:
    """Return what is written instead of ``field operator value``; None: it is a condition.

    ``value`` has no quotes around it; ``parted``: there are blanks before it.
    """
    if field.lower() in JOINS:
        return f"a field stands before {operator}"
    if not value or (parted and value.lower() in JOINS):
        empty = f'{field}{operator}"" is the empty text, not {field} asks for none'
        return f"{field}{operator} has no value: write {field}{operator}VALUE; {empty}"
    if "~" in operator and value.startswith("="):
        return _PATTERNS
    return _colon(field) or _first(_VALUES, value)


_LIKE_NETWORK = re.compile(r"\d+(?:\.\d+){1,3}/\d+|[\da-f]*(?::[\da-f.]*){2,}/\d+", re.IGNORECASE)
"""Little else in a record looks like that: one that is none was mistyped."""


def check_network(value: str) -> None:
    """Refuse what looks like a network and is none. Raises: UsageError."""
    if _LIKE_NETWORK.fullmatch(value) and network(value) is None:
        said = "write it as 10.0.0.0/8 or 2001:db8::/32; what is meant as a text goes in quotes"
        raise UsageError(f"{value} is no network: {said}")


def _colon(word: str) -> str | None:
    """Return what is written instead of ``EventName:X``. ARNs, types and names in paths have colons."""
    field, colon, value = word.partition(":")
    if not colon or "." in field or not (names_field(field) or field_name(field) != field):
        return None
    return f"a value stands behind =, not a colon: {field}={value or 'VALUE'}"


def _first(table: tuple[tuple[re.Pattern[str], str], ...], text: str) -> str | None:
    return next((instead for pattern, instead in table if pattern.fullmatch(text)), None)
