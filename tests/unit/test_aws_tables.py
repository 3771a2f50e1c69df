# SPDX-License-Identifier: Apache-2.0
"""The packaged tables are what the generator makes of the locked botocore, and load quickly."""

import importlib.util
import io
import sys
import tracemalloc
import zipfile
from pathlib import Path
from types import ModuleType

import botocore
import pytest
import zstandard
from support.aws_requests import operations, service_model, service_names

from opentrail.aws import model, tables
from opentrail.aws.request import Target

FAMILIES = ("sagemaker", "personalize", "devops-guru", "sts")
REPOSITORY = Path(__file__).parents[2]
ARCHIVE = REPOSITORY / "src" / "opentrail" / "aws" / "models.zip"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    path = REPOSITORY / "scripts" / "generate_models.py"
    spec = importlib.util.spec_from_file_location("generate_models", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate_models"] = module
    spec.loader.exec_module(module)
    return module


def test_packaged_tables_are_what_the_generator_writes(generator):
    assert tables.index().botocore == botocore.__version__, "run scripts/generate_models.py"
    packaged = {}
    with zipfile.ZipFile(ARCHIVE) as archive:
        for name in archive.namelist():
            packaged[name] = zstandard.ZstdDecompressor().decompress(archive.read(name))
    assert dict(generator.entries()) == packaged


def test_packing_the_same_entries_gives_the_same_bytes(generator):
    contents = [("b.json.zst", b"{}" * 1000), ("a.json.zst", b"[1]")]
    packed = generator.pack(iter(contents))
    assert packed == generator.pack(iter(contents))
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["b.json.zst", "a.json.zst"]
        assert zstandard.ZstdDecompressor().decompress(archive.read("a.json.zst")) == b"[1]"


def test_every_service_of_botocore_has_a_table():
    assert sorted(tables.services()) == service_names()


def test_the_four_families_take_a_few_megabytes():
    names = [n for n in tables.services() if n.startswith(FAMILIES)]
    for cached in (tables.table, model._operation, model._shapes):
        cached.cache_clear()
    tracemalloc.start()
    for name in names:
        for operation in tables.table(name).names():
            model.operation(Target(name, "", operation, ""))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6, "all 560 operations, every shape built"


@pytest.mark.parametrize("service", ["sagemaker", "personalize", "devops-guru", "s3", "ec2"])
def test_operations_are_in_model_order_with_members_in_model_order(service):
    expected = service_model(service)
    assert list(tables.table(service).names()) == list(expected.operation_names)
    for operation in operations(expected):
        found = model.operation(Target(service, "", operation.name, ""))
        assert found is not None
        sent = operation.input_shape.members if operation.input_shape else {}
        assert list(found.input.members if found.input else {}) == list(sent)
        answered = operation.output_shape.members if operation.output_shape else {}
        assert list(found.output.members if found.output else {}) == list(answered)
        errors = [e.metadata.get("error", {}).get("code", e.name) for e in operation.error_shapes]
        assert [error.code for error in found.errors] == errors
