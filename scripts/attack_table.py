# SPDX-License-Identifier: Apache-2.0
"""Tries each attack on a signed bucket and writes what is said of it into docs/verification.md.

The real AWS CLI asks OpenTrail's S3 door; ``PYTHONPATH=tests`` finds the attacks.
"""

import re
import tempfile
from pathlib import Path

from support.attacks import ATTACKS, Range, row

PAGE = Path(__file__).parents[1] / "docs" / "verification.md"
HEAD = """| attack | validate-logs | verify, with public keys | verify, with a receipt too |
|---|---|---|---|
"""
BETWEEN = re.compile(r"(?<=<!-- attacks -->\n).*(?=<!-- /attacks -->)", re.DOTALL)


def main() -> None:
    """Write the table."""
    with tempfile.TemporaryDirectory() as folder:
        field = Range(Path(folder))
        rows = [row(attack, field.seen(attack, by_the_cli=True)) for attack in ATTACKS]
    table = HEAD + "\n".join(rows) + "\n"
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BETWEEN.sub(lambda _: table, page), encoding="utf-8")


if __name__ == "__main__":
    main()
