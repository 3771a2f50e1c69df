# SPDX-License-Identifier: Apache-2.0
"""What scripts generate from the service model and the operations' table is up to date."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", ["generate_wire_shapes", "compatibility"])
def test_the_generated_file_is_what_its_script_makes(name):
    script = runpy.run_path(str(ROOT / "scripts" / f"{name}.py"))
    assert script["OUTPUT"].read_text(encoding="utf-8") == script["render"]()
