# SPDX-License-Identifier: Apache-2.0
"""How a message may quote a text: as it is, or as the body, form or URL that it stood in had it. Pure."""

import json
import re
from urllib.parse import quote, quote_plus

_PLAIN = re.compile(r"[\w.~-]*", re.ASCII)
"""What no form spells otherwise."""


def quotations(text: str, message: str) -> set[str]:
    """Return ``text`` in all forms that ``message`` may have it in: as JSON, Python or a URL escapes it."""
    found = {text}
    if _PLAIN.fullmatch(text):
        return found
    if "\\" in message:
        found |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        found.add(repr(text)[1:-1])
    if "%" in message or "+" in message:
        found |= {quote(text, safe="", errors="replace"), quote_plus(text, errors="replace")}
    return found
