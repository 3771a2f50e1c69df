# SPDX-License-Identifier: Apache-2.0
"""Values that must not be kept are replaced before anything is sent."""

import re
from collections.abc import Callable, Iterable, Sequence

from opentrail.event.record import HIDDEN

Redact = Callable[[object], object]
"""Returns a copy of a JSON value in which nothing secret is left."""

PARTS = (
    "accesstoken",
    "apikey",
    "authorization",
    "cardnumber",
    "cookie",
    "credential",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "sessionid",
    "signature",
    "token",
)
"""A member whose name contains one of these is hidden; only letters and digits count, in lower case."""
NAMES = frozenset(
    {"auth", "bearer", "cvc", "cvv", "iban", "jwt", "otp", "pin", "pwd", "ssn", "totp"}
    | {"socialsecuritynumber"}
)
"""A member of just this name is hidden: inside others these mean nothing."""
DEPTH_MAX = 32
"""Deeper parts are left out: a record may be nested a hundred deep, all in all."""
NAMES_CACHED = 4096
"""Names of members that were looked at: a service's are the same in all calls."""
CACHED_CHARS_MAX = 64
"""Longer names are not remembered: they may be a hostile caller's."""
TOO_DEEP = "OMITTED_TOO_DEEP"

_NESTED = frozenset({dict, list})
_OTHER = re.compile(r"[\W_]")
"""All but letters and digits, of any script."""


class _Redactor:
    """Hides members by their names; remembers what it decided of each."""

    def __init__(self, names: frozenset[str], parts: Sequence[str]) -> None:
        self._names = names
        self._parts = parts
        self._known: dict[str, bool] = {}

    def __call__(self, value: object, depth: int = 0) -> object:
        """Return a copy of ``value`` in which nothing secret is left."""
        if depth >= DEPTH_MAX:
            return TOO_DEEP
        if isinstance(value, dict):
            return self._object(value, depth + 1)
        if isinstance(value, list):
            depth += 1
            return [self(part, depth) if type(part) in _NESTED else part for part in value]
        return value

    def _object(self, value: dict[str, object], depth: int) -> dict[str, object]:
        known = self._known
        copy: dict[str, object] = {}
        for name, part in value.items():
            secret = known.get(name)
            if secret or (secret is None and self._hides(name)):
                copy[name] = HIDDEN
            else:
                copy[name] = self(part, depth) if type(part) in _NESTED else part
        return copy

    def _hides(self, name: str) -> bool:
        plain = _plain(name)
        secret = plain in self._names or any(part in plain for part in self._parts)
        if len(name) <= CACHED_CHARS_MAX:
            if len(self._known) >= NAMES_CACHED:
                self._known.clear()
            self._known[name] = secret
        return secret


def redactor(more_names: Iterable[str] = ()) -> Redact:
    """Return what hides the members of ``PARTS``, ``NAMES`` and ``more_names``, at any depth."""
    return _Redactor(NAMES.union(map(_plain, more_names)), PARTS)


def redactor_of(names: Iterable[str]) -> Redact:
    """Return what hides the members of ``names`` alone, at any depth."""
    return _Redactor(frozenset(map(_plain, names)), ())


def _plain(name: str) -> str:
    return _OTHER.sub("", name.lower())
