# SPDX-License-Identifier: Apache-2.0
"""What a program gives, where it cannot be meant: told when it starts, not by what its records lack."""

import re
from collections.abc import Iterable, Mapping

_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
"""Both as the intake wants them: it would take no record."""


def only(given: Mapping[str, object], known: Iterable[str], whose: str) -> None:
    """Raise TypeError for a name that ``whose`` does not have: a slip must not switch off a ``redact``."""
    if unknown := sorted(given.keys() - set(known)):
        raise TypeError(f"{whose} has no {', '.join(unknown)}")


def names(given: Iterable[str], what: str) -> tuple[str, ...]:
    """Return several names. Raises: TypeError: it is one text, whose letters are no names."""
    if isinstance(given, str):
        raise TypeError(f"{what}={given!r} is one text: give a list, [{given!r}]")
    return tuple(given)


def check_place(account: object, region: object) -> None:
    """Raise ValueError for what no record can be of."""
    if not (isinstance(account, str) and _ACCOUNT.fullmatch(account)):
        raise ValueError(f"account {account!r} is not twelve digits")
    if not (isinstance(region, str) and _REGION.fullmatch(region)):
        raise ValueError(f"region {region!r} is not lower-case letters, digits and hyphens")
