# SPDX-License-Identifier: Apache-2.0
"""Generate ``src/opentrail/aws/models.zip`` from the service models of the installed botocore.

Run it after the lock file takes another botocore:

    .venv/bin/python scripts/generate_models.py

It reads every service's newest API version, drops documentation, endpoint rules, enums and
validation limits, and packs what is left (``opentrail.aws.tables`` says what) in about ten seconds.
The same botocore and zstandard give the same bytes; ``tests/unit/test_aws_tables.py`` regenerates
the tables and compares.
"""

import io
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore
import msgspec
import zstandard
from botocore.loaders import Loader
from botocore.model import ServiceModel

from opentrail.aws import tables

ARCHIVE = Path(__file__).parents[1] / "src" / "opentrail" / "aws" / "models.zip"
LEVEL = 19
"""zstd's last level before the ones that need more memory to read."""
OLDEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip entry can carry: the archive must not say when it was made."""

_KINDS = {"char": "string", "character": "string", "bigdecimal": "double", "short": "integer"}


def entries() -> Iterator[tuple[str, bytes]]:
    """Yield name and JSON of every entry, ordered by name within services, the index last."""
    loader = Loader()
    rows = []
    for name in sorted(loader.list_available_services("service-2")):
        model = loader.load_service_model(name, "service-2")
        rows.append(service_row(name, model))
        yield f"service/{name}.json.zst", msgspec.json.encode(table_row(model))
    found = tables.IndexRow(botocore=botocore.__version__, services=tuple(rows))
    yield "index.json.zst", msgspec.json.encode(found)


def service_row(name: str, model: Mapping[str, Any]) -> tables.ServiceRow:
    """Return what names the service ``name``."""
    metadata = model["metadata"]
    # A model may name a protocol that its own list does not put first; botocore decides.
    spoken = ServiceModel(model, name).resolved_protocol
    listed = (metadata["protocol"], *metadata.get("protocols", ()))
    return tables.ServiceRow(
        service=name,
        signing_name=metadata.get("signingName", metadata["endpointPrefix"]),
        endpoint_prefix=metadata["endpointPrefix"],
        protocols=tuple(dict.fromkeys((spoken, *listed))),
        json_version=metadata.get("jsonVersion", ""),
        target_prefix=metadata.get("targetPrefix", ""),
        api_version=metadata["apiVersion"],
        operations=len(model["operations"]),
        unsigned=tuple(n for n, operation in model["operations"].items() if _unsigned(operation)),
        query_compatible="awsQueryCompatible" in metadata,
    )


def _unsigned(operation: Mapping[str, Any]) -> bool:
    return operation.get("authtype") == "none" or "smithy.api#noAuth" in operation.get("auth", ())


def table_row(model: Mapping[str, Any]) -> tables.TableRow:
    """Return the operations and the shapes that they reach."""
    writer = _Writer(model)
    operations = {
        name: msgspec.Raw(msgspec.json.encode(writer.operation(operation)))
        for name, operation in model["operations"].items()
    }
    return tables.TableRow(
        operations=operations,
        shapes=tuple(msgspec.Raw(msgspec.json.encode(row)) for row in writer.shapes()),
        errors=tuple(writer.errors),
    )


class _Writer:
    """Numbers the shapes of one service in the order in which its operations reach them."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self._model = model["shapes"]
        self._numbers: dict[str, int] = {}
        self._error_numbers: dict[str, int] = {}
        self.errors: list[tables.ErrorRow] = []

    def operation(self, operation: Mapping[str, Any]) -> tables.OperationRow:
        output = operation.get("output", {})
        return tables.OperationRow(
            method=operation["http"]["method"],
            uri=operation["http"]["requestUri"],
            input=self._number(operation["input"]["shape"]) if "input" in operation else -1,
            output=self._number(output["shape"]) if output else -1,
            errors=tuple(self._error(e["shape"]) for e in operation.get("errors", ())),
            host_prefix=operation.get("endpoint", {}).get("hostPrefix", ""),
            result_wrapper=output.get("resultWrapper", ""),
            readonly=operation.get("readonly", False),
            deprecated=operation.get("deprecated", False),
        )

    def shapes(self) -> Iterator[tables.ShapeRow]:
        """Yield every numbered shape; writing one may number more, at the end."""
        done = 0
        while done < len(self._numbers):
            for name in list(self._numbers)[done:]:
                yield self._shape(name)
                done += 1

    def _number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def _error(self, name: str) -> int:
        if name not in self._error_numbers:
            self._error_numbers[name] = len(self.errors)
            error = self._model[name].get("error", {})
            self.errors.append(
                tables.ErrorRow(name, error.get("code", name), error.get("httpStatusCode", 0))
            )
        return self._error_numbers[name]

    def _shape(self, name: str) -> tables.ShapeRow:
        shape = self._model[name]
        return tables.ShapeRow(
            name=name,
            kind=_KINDS.get(shape["type"], shape["type"]),
            members=tuple(self._members(shape)),
            payload=shape.get("payload", ""),
            timestamp_format=shape.get("timestampFormat", ""),
            sensitive=shape.get("sensitive", False),
            streaming=shape.get("streaming", False),
            event_stream=shape.get("eventstream", False),
            document=shape.get("document", False),
            flattened=shape.get("flattened", False),
        )

    def _members(self, shape: Mapping[str, Any]) -> Iterator[tables.MemberRow]:
        required = frozenset(shape.get("required", ()))
        parts = shape.get("members", {}) if shape["type"] == "structure" else shape
        for name in parts if shape["type"] == "structure" else _PARTS.get(shape["type"], ()):
            member = parts[name]
            yield tables.MemberRow(
                name=name,
                shape=self._number(member["shape"]),
                location=member.get("location", ""),
                wire=member.get("locationName", ""),
                query_name=member.get("queryName", ""),
                required=name in required,
                flattened=member.get("flattened", False),
                json_value=member.get("jsonvalue", False),
            )


_PARTS = {"list": ("member",), "map": ("key", "value")}


def pack(contents: Iterator[tuple[str, bytes]]) -> bytes:
    """Return the archive: stored entries, each one zstd frame, that depend on nothing else."""
    packed = io.BytesIO()
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in contents:
            info = zipfile.ZipInfo(name, OLDEST)
            info.create_system = 3  # whatever system runs this
            info.external_attr = 0o644 << 16
            archive.writestr(info, compressor.compress(data))
    return packed.getvalue()


def main() -> None:
    """Write the archive."""
    data = pack(entries())
    ARCHIVE.write_bytes(data)
    sys.stdout.write(f"{ARCHIVE}: {len(data):,} bytes from botocore {botocore.__version__}\n")


if __name__ == "__main__":
    main()
