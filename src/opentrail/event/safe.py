# SPDX-License-Identifier: Apache-2.0
"""Text for a terminal: records and file names hold what anybody sent."""

import json


def safe(text: str) -> str:
    """Return ``text`` without what a terminal would act on."""
    if text.isprintable():  # nearly all is
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def safe_json(text: str) -> str:
    """Return JSON without what a terminal would act on: with JSON's own escapes, so it says the same."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
