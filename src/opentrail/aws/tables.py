# SPDX-License-Identifier: Apache-2.0
"""The packaged service tables: the format of ``models.zip`` and how it is read.

Written by ``scripts/generate_models.py`` from botocore's service models. The archive holds, each as
one zstd frame of JSON: ``index.json.zst`` (an ``IndexRow``: what names a service) and
``service/<id>.json.zst`` (a ``TableRow``: its operations and shapes). Rows are JSON arrays; those of
a table stay undecoded bytes until something asks for them, because one call needs a dozen of the
4,000 shapes that SageMaker has.
"""

import functools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
import zstandard

TABLE_BYTES_MAX = 64 * 1024 * 1024
"""Largest decompressed entry that is accepted: the largest (ec2) has about 1 MB."""

Kind = Literal[
    "structure",
    "list",
    "map",
    "string",
    "integer",
    "long",
    "float",
    "double",
    "boolean",
    "blob",
    "timestamp",
]
Location = Literal["", "uri", "querystring", "header", "headers", "statusCode"]


class MemberRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One member of a shape. A list has "member"; a map has "key" and "value"."""

    name: str
    shape: int
    """Row number in ``TableRow.shapes``."""
    location: Location = ""
    wire: str = ""
    """The model's locationName; empty when it has none."""
    query_name: str = ""
    required: bool = False
    flattened: bool = False
    json_value: bool = False


class ShapeRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One shape."""

    name: str
    kind: Kind
    members: tuple[MemberRow, ...] = ()
    payload: str = ""
    timestamp_format: str = ""
    sensitive: bool = False
    streaming: bool = False
    event_stream: bool = False
    document: bool = False
    flattened: bool = False


class ErrorRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One modelled error."""

    name: str
    code: str
    """What clients see: ``error.code`` of the model, else the shape's name."""
    status: int
    """HTTP status; 0 when the model has none."""


class OperationRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One operation."""

    method: str
    uri: str
    input: int = -1
    """Row number in ``TableRow.shapes``; -1 when there is none."""
    output: int = -1
    errors: tuple[int, ...] = ()
    """Row numbers in ``TableRow.errors``."""
    host_prefix: str = ""
    result_wrapper: str = ""
    readonly: bool = False
    deprecated: bool = False


class TableRow(msgspec.Struct, frozen=True):
    """One service's operations, in model order, and shapes."""

    operations: dict[str, msgspec.Raw]
    """Name to ``OperationRow``."""
    shapes: tuple[msgspec.Raw, ...]
    """``ShapeRow`` each."""
    errors: tuple[ErrorRow, ...]


class ServiceRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What tells one service's requests from another's."""

    service: str
    """botocore's service directory ("sagemaker-featurestore-runtime")."""
    signing_name: str
    endpoint_prefix: str
    protocols: tuple[str, ...]
    """The one that botocore speaks comes first."""
    json_version: str
    target_prefix: str
    api_version: str
    operations: int
    """How many it has: the larger of two services that a request fits is the likelier."""
    unsigned: tuple[str, ...] = ()
    """Operations that clients call without a signature."""
    query_compatible: bool = False
    """Whether its errors also carry the code that they had in the query protocol."""

    @property
    def protocol(self) -> str:
        """The protocol that botocore speaks."""
        return self.protocols[0]


class IndexRow(msgspec.Struct, frozen=True):
    """All services, ordered by name."""

    botocore: str
    """The version of botocore that the tables were made from."""
    services: tuple[ServiceRow, ...]


class Table:
    """One service's operations and shapes, each row decoded when it is asked for."""

    __slots__ = ("_row", "service")

    def __init__(self, service: ServiceRow, row: TableRow) -> None:
        self.service = service
        self._row = row

    def names(self) -> Mapping[str, msgspec.Raw]:
        """Return the operation names, in model order, as the keys of a mapping."""
        return self._row.operations

    def operation(self, name: str) -> OperationRow:
        """Return one operation. Raises: KeyError."""
        return _OPERATION.decode(self._row.operations[name])

    def shape(self, number: int) -> ShapeRow:
        """Return one shape. Raises: IndexError."""
        return _SHAPE.decode(self._row.shapes[number])

    def error(self, number: int) -> ErrorRow:
        """Return one modelled error. Raises: IndexError."""
        return self._row.errors[number]


_OPERATION = msgspec.json.Decoder(OperationRow)
_SHAPE = msgspec.json.Decoder(ShapeRow)
_TABLE = msgspec.json.Decoder(TableRow)
_INDEX = msgspec.json.Decoder(IndexRow)


@functools.cache
def index() -> IndexRow:
    """Return what names every service."""
    return _INDEX.decode(_entry("index.json.zst"))


@functools.cache
def services() -> Mapping[str, ServiceRow]:
    """Return every service by its name."""
    return {row.service: row for row in index().services}


@functools.cache
def table(service: str) -> Table:
    """Return one service's table, read at its first use. Raises: KeyError: no such service."""
    return Table(services()[service], _TABLE.decode(_entry(f"service/{service}.json.zst")))


@functools.cache
def _archive() -> zipfile.ZipFile:
    """Keep the archive open: its directory has an entry for each service, and an upgrade may replace the file."""
    return zipfile.ZipFile(Path(__file__).with_name("models.zip"))


def _entry(name: str) -> bytes:
    return zstandard.ZstdDecompressor().decompress(
        _archive().read(name), max_output_size=TABLE_BYTES_MAX
    )
