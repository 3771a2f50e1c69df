# SPDX-License-Identifier: Apache-2.0
"""Text for a terminal: records and file names hold what anybody sent."""


def safe(text: str) -> str:
    """Return ``text`` without what a terminal would act on."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
