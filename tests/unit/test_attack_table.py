# SPDX-License-Identifier: Apache-2.0
"""The table of attacks in docs/verification.md is what is found; the AWS CLI is asked about three."""

from pathlib import Path

import pytest
from support.attacks import ATTACKS, Range, row

PAGE = Path(__file__).parents[2] / "docs" / "verification.md"
ASKED = {
    "none: the bucket as it was filled",
    "a log file deleted",
    "all digests deleted",
}
"""Attacks about which the AWS CLI is asked here too; ``scripts/attack_table.py`` asks about all."""


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    return Range(tmp_path_factory.mktemp("attacks"))


@pytest.fixture(scope="module")
def documented():
    text = PAGE.read_text(encoding="utf-8").partition("<!-- attacks -->")[2]
    rows = text.partition("<!-- /attacks -->")[0].strip().splitlines()[2:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in rows}


def test_every_attack_is_documented_and_no_other(documented):
    assert list(documented) == [attack.name for attack in ATTACKS]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_is_documented_of_an_attack_is_so(field, documented, attack):
    found = row(attack, field.seen(attack, by_the_cli=attack.name in ASKED)).split(" | ")
    said = documented[attack.name].split(" | ")
    assert [each for each in found if each] in (said, [said[0], *said[2:]])


def test_with_a_receipt_no_attack_is_valid_and_the_untouched_bucket_is(documented):
    for number, line in enumerate(documented.values()):
        assert (line.rstrip(" |").split(" | ")[-1] == "valid (0)") is (number == 0)
