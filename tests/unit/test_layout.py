# SPDX-License-Identifier: Apache-2.0
"""The shape of the code, as a test: first lines, sizes, nesting, no mocks."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "opentrail"
LICENSE_LINE = "# SPDX-License-Identifier: Apache-2.0"
FOLDERS = ("src", "tests", "bench", "scripts")
FILES = sorted(
    [ROOT / "dev.py", *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))]
)
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
TEST_LINES_MAX = 60
"""A test may spell out a whole record, field by field."""
NESTING_MAX = 2
LONGER = {
    "src/opentrail/wire/shapes.py": "generated from CloudTrail's service model",
    "tests/unit/test_build_rules.py": "the table of cases from call to record",
}
"""Files that may be longer than FILE_LINES_MAX -> why."""


def tree_of(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_it_begins_with_its_licence(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert LICENSE_LINE in (lines[1:2] if lines[0].startswith("#!") else lines[:1])


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("tests/")])
def test_it_says_what_it_is_for(name):
    docstring = ast.get_docstring(tree_of(name))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":", ";", ","))


@pytest.mark.parametrize("name", NAMES)
def test_files_and_functions_fit_a_head(name):
    lines = (ROOT / name).read_text(encoding="utf-8").count("\n")
    assert name in LONGER or lines <= FILE_LINES_MAX
    functions = [
        node
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno is not None}
    lines_max = TEST_LINES_MAX if name.startswith("tests/") else FUNCTION_LINES_MAX
    assert {function: size for function, size in long.items() if size > lines_max} == {}


@pytest.mark.parametrize("name", sorted(LONGER))
def test_an_exception_is_needed(name):
    assert (ROOT / name).read_text(encoding="utf-8").count("\n") > FILE_LINES_MAX


def test_rooms_are_not_nested():
    deep = [p for p in SOURCE.rglob("*.py") if len(p.relative_to(SOURCE).parts) > NESTING_MAX]
    assert deep == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_mocked(name):
    imported: set[str] = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.update(f"{node.module}.{alias.name}" for alias in node.names)
    assert not [each for each in imported if each.startswith(("unittest.mock", "mock"))]


@pytest.mark.parametrize(
    "word", ["util", "utils", "common", "models", "manager", "helper", "helpers"]
)
def test_names_say_what_is_inside(word):
    assert list(SOURCE.rglob(f"{word}.py")) == []
    assert [path for path in SOURCE.rglob(word) if path.is_dir()] == []
