# SPDX-License-Identifier: Apache-2.0
"""Secrets that an error's message quotes: "Value 'hunter2' at 'masterUserPassword' failed …"."""

from collections.abc import Iterator, Mapping

from opentrail.event.quoted import quotations
from opentrail.event.record import HIDDEN
from opentrail.sdk.redact import DEPTH_MAX

QUOTED_CHARS_MIN = 4
"""Shorter texts are not looked for: they stand in any sentence, and guessing them is no work."""
QUOTED_MAX = 1000
"""Texts of one request that are looked for: more are in no request that one error is about."""


def without_echoes(message: str, given: object, shown: object) -> str:
    """Return ``message`` without texts of the parameters ``given`` that are not ``shown`` in the record."""
    known = set(_texts(shown))
    hidden: set[str] = set()
    for text in _texts(given):
        if len(hidden) >= QUOTED_MAX:
            break
        if len(text) >= QUOTED_CHARS_MIN and text not in known:
            hidden.add(text)
    quoted = {form for text in hidden for form in quotations(text, message)}
    for text in sorted(quoted, key=len, reverse=True):
        message = message.replace(text, HIDDEN)
    return message


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    """Yield all texts in a value, keys of maps, too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif depth >= DEPTH_MAX:
        return
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _texts(name, depth + 1)
            yield from _texts(part, depth + 1)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part, depth + 1)
