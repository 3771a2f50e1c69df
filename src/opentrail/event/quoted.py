# SPDX-License-Identifier: Apache-2.0
"""How a message may quote a text: as it is, or as the body, form or URL that it stood in had it. Pure."""

import json
from urllib.parse import quote, quote_plus


def quotations(text: str) -> set[str]:
    """Return ``text`` in all forms that are looked for: escaped as JSON, Python or a form has it."""
    if text.isalnum() and text.isascii():
        return {text}
    return {
        text,
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        repr(text)[1:-1],
        quote(text, safe="", errors="replace"),
        quote_plus(text, errors="replace"),
    }
