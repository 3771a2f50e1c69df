# SPDX-License-Identifier: Apache-2.0
"""Read pairs of keys from the files in which AWS hands them out.

The CSV of the IAM console, the AWS CLI's shared credentials, and the JSON of ``aws iam
create-access-key`` (AWS CLI User Guide, "Configuration and credential file settings").
"""

import configparser
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from opentrail.errors import UsageError
from opentrail.front.key_file import FILE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Pair:
    """One key of a file, and the user that the file names."""

    access_key_id: str
    secret: str = field(repr=False)
    user_name: str = ""
    session_token: str = field(default="", repr=False)


def read_pairs(file: Path) -> list[Pair]:
    """Return the keys of ``file``. Raises: UsageError, which never repeats what it holds."""
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise UsageError(f"{file} is longer than {FILE_BYTES_MAX} bytes")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not text") from None
    try:
        pairs = [pair for pair in _pairs(text) if pair.access_key_id and pair.secret]
    except (configparser.Error, csv.Error, ValueError, RecursionError):
        pairs = []
    if not pairs:
        raise UsageError(f"{file} has no access keys as CSV, shared credentials or JSON")
    return pairs


def _pairs(text: str) -> Iterator[Pair]:
    if "aws_access_key_id" in text:
        yield from _of_ini(text)
    elif text.lstrip()[:1] in ("{", "["):
        yield from _of_json(json.loads(text))
    else:
        yield from _of_csv(text)


def _of_csv(text: str) -> Iterator[Pair]:
    for row in csv.DictReader(text.splitlines()):
        cells = {str(name).strip().lower(): str(cell or "").strip() for name, cell in row.items()}
        yield Pair(
            cells.get("access key id", ""),
            cells.get("secret access key", ""),
            cells.get("user name", ""),
        )


def _of_ini(text: str) -> Iterator[Pair]:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    for name in parser.sections():
        section = parser[name]
        yield Pair(
            section.get("aws_access_key_id", ""),
            section.get("aws_secret_access_key", ""),
            name.removeprefix("profile "),
            section.get("aws_session_token", ""),
        )


def _of_json(value: object) -> Iterator[Pair]:
    for item in value if isinstance(value, list) else [value]:
        key = item.get("AccessKey", item) if isinstance(item, dict) else None
        if isinstance(key, dict):
            said = {name: cell for name, cell in key.items() if isinstance(cell, str)}
            yield Pair(
                said.get("AccessKeyId", ""),
                said.get("SecretAccessKey", ""),
                said.get("UserName", ""),
                said.get("SessionToken", ""),
            )
