# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of imports says of a subject is the subject's own."""

import pytest

from bench import importing

MIB = 2**20


def measured(code, tmp_path):
    subject = importing._Subject("it", code)
    return importing._measure(subject, tmp_path, tmp_path / "out")


def test_memory_is_not_that_of_who_started_it(tmp_path):
    held = b"x" * (96 * MIB)
    assert measured("pass", tmp_path).memory_mib < 64
    assert measured("held = b'x' * (96 * 2**20)", tmp_path).memory_mib > 96
    assert held


def test_a_subject_that_fails_is_told(tmp_path):
    with pytest.raises(RuntimeError, match="it ended with 3"):
        measured("raise SystemExit(3)", tmp_path)
