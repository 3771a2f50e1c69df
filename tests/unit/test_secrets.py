# SPDX-License-Identifier: Apache-2.0
"""What holds a secret does not show it: whatever is logged or quoted in an error, that is not in it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "opentrail"
NAMES = {"secret", "secret_access_key", "session_token", "token_key"}
"""Fields that hold secrets, whatever their type."""
KEY_TYPES = {"bytes", "tuple[str, str]", "tuple[str, str, str]"}
"""Types of a field ``key`` that holds one: signing keys, and ids with their secrets."""
HOLDERS_MIN = 15
"""Fewer would mean that this test no longer finds them."""


def fields() -> Iterator[tuple[str, ast.ClassDef, ast.AnnAssign]]:
    """Yield every annotated field: "file: class.field", its class and itself."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                for each in node.body:
                    if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                        name = path.relative_to(SOURCE).as_posix()
                        yield f"{name}: {node.name}.{each.target.id}", node, each


def is_secret(field: ast.AnnAssign) -> bool:
    name = ast.unparse(field.target)
    return name in NAMES or (name == "key" and ast.unparse(field.annotation) in KEY_TYPES)


HOLDERS = {where: (holder, field) for where, holder, field in fields() if is_secret(field)}


def test_there_are_some():
    assert len(HOLDERS) >= HOLDERS_MIN


@pytest.mark.parametrize("where", sorted(HOLDERS))
def test_a_secret_is_not_shown(where):
    holder, field = HOLDERS[where]
    has_own = any(isinstance(e, ast.FunctionDef) and e.name == "__repr__" for e in holder.body)
    assert has_own or "repr=False" in ast.unparse(field)
