# SPDX-License-Identifier: Apache-2.0
"""Numbers in the settings: their bounds are documented, taken, and nothing beyond them is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest

from opentrail.config import Settings, load
from opentrail.errors import UsageError

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
ROW = r"^\| `{}` \| `\w+` \| ([^|]+) \|"
STEP = 0.01
"""Beyond a bound, for settings that take fractions."""


def bounds(
    shape: type[msgspec.Struct], prefix: str = ""
) -> Iterator[tuple[str, type, msgspec.Meta]]:
    """Yield the name of every setting that is a number with bounds, its type and the bounds."""
    hints = get_type_hints(shape, include_extras=True)
    for field in msgspec.structs.fields(shape):
        kind, name = hints[field.name], f"{prefix}{field.encode_name}"
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from bounds(kind, f"{name}.")
        for meta in getattr(kind, "__metadata__", ()):
            if meta.ge is not None or meta.gt is not None:
                yield name, kind.__origin__, meta


BOUNDS = list(bounds(Settings))


def shown(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def test_there_are_some():
    assert len(BOUNDS) > 10


@pytest.mark.parametrize(("setting", "kind", "meta"), BOUNDS)
def test_the_bounds_of_a_number_are_documented(setting, kind, meta):
    del kind
    low = shown(meta.ge) if meta.gt is None else f"above {shown(meta.gt)},"
    said = f"{low} or more" if meta.le is None else f"{low} to {shown(meta.le)}"
    row = re.search(ROW.format(re.escape(setting)), PAGE.read_text("utf-8"), re.MULTILINE)
    assert row is not None
    assert row[1].endswith(f", {said}")


@pytest.mark.parametrize(("setting", "kind", "meta"), BOUNDS)
def test_a_number_is_taken_up_to_its_bounds_and_refused_beyond(setting, kind, meta):
    variable = "OPENTRAIL_" + setting.replace(".", "_").upper()
    step = 1 if kind is int else STEP
    good = [meta.gt + step if meta.ge is None else meta.ge]
    bad = [meta.gt if meta.ge is None else meta.ge - step]
    if meta.le is not None:
        good.append(meta.le)
        bad.append(meta.le + step)
    for value in good:
        load(None, {variable: str(value)}, {})
    for value in bad:
        with pytest.raises(UsageError, match=re.escape(setting)):
            load(None, {variable: str(value)}, {})
