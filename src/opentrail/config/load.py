# SPDX-License-Identifier: Apache-2.0
"""Settings: a TOML file, then ``OPENTRAIL_…`` variables, then flags, each stronger than the last.

An unknown key is an error that names the nearest known one: a mistyped security setting must not
be a silent default.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from opentrail.config.check import check_settings
from opentrail.config.settings import Settings
from opentrail.errors import UsageError

ENV_PREFIX = "OPENTRAIL_"
ENV_SDK_PREFIX = "OPENTRAIL_SDK_"
"""Of the variables of programs that send records, which may share an environment with the server."""
ENV_NOT_SETTINGS = frozenset({"OPENTRAIL_CONFIG", "OPENTRAIL_SHARED"})
"""Variables with our prefix that are no settings: the file's path; the test suite's own data."""


def load(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Return the settings of ``file``, ``environ`` and ``flags``, the later ones winning.

    ``flags`` maps dotted names ("listen.address") to values; None means not given.
    Raises: UsageError: one line that says which key, and what to write instead.
    """
    tree = _Tree(str(file) if file is not None else "settings")
    if file is not None:
        tree.values = _read_file(file)
    options = _upstream_options(tree.values)
    for name, text in environ.items():
        ours = name.startswith(ENV_PREFIX) and not name.startswith(ENV_SDK_PREFIX)
        if ours and name not in ENV_NOT_SETTINGS:
            tree.set(_dotted(name), text, name)
    for dotted, value in flags.items():
        if value is not None:
            tree.set(dotted, value, "the command line")
    _refuse_unknown(tree)
    settings = _converted(tree, options)
    check_settings(settings)
    return settings


def _read_file(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error


class _Tree:
    """Settings as nested tables, and where each of them was said."""

    def __init__(self, source: str) -> None:
        """``source`` says all that is not said elsewhere."""
        self.values: dict[str, object] = {}
        self._source = source
        self._sources: dict[str, str] = {}

    def source(self, dotted: str) -> str:
        """Return who says ``dotted``: the file, a variable, the command line."""
        return self._sources.get(dotted.partition("[")[0], self._source)  # of a list: [3]

    def set(self, dotted: str, value: object, source: str) -> None:
        """Set one setting. Raises: UsageError: the file has something else where its table is."""
        *path, last = dotted.split(".")
        node = self.values
        for part in path:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                raise UsageError(
                    f"{self._source}: {part} is a table ([{part}]), not a value of its own"
                )
            node = child
        if isinstance(value, str) and dotted in _LISTS:
            value = [item.strip() for item in value.split(",") if item.strip()]
        node[last] = value
        self._sources[dotted] = source


def _entries_of(kind: object) -> type[msgspec.Struct] | None:
    """Return what the tables of a field by name (``[buckets.NAME]``) look like; None: it has none."""
    each = get_args(kind)[-1] if get_origin(kind) is dict else None
    return each if isinstance(each, type) and issubclass(each, msgspec.Struct) else None


def _types_of(shape: type[msgspec.Struct]) -> dict[str, object]:
    """Return the type of each field by the name that it has in the file."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(shape)}


_SETTINGS = _types_of(Settings)
_SECTIONS: dict[str, type[msgspec.Struct]] = {
    name: kind
    for name, kind in _SETTINGS.items()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
}
_TABLES = {name: shape for name, kind in _SETTINGS.items() if (shape := _entries_of(kind))}
_FILE_ONLY = tuple(
    name for name, kind in _SETTINGS.items() if get_origin(kind) is dict and name != "upstream"
)
_LISTS = frozenset(
    name for name, kind in _SETTINGS.items() if get_origin(kind) is tuple
) | frozenset(
    f"{section}.{name}"
    for section, shape in _SECTIONS.items()
    for name, kind in _types_of(shape).items()
    if get_origin(kind) is tuple
)
_UPSTREAM_OPTIONS = ("trusted_identity", "verifies_signatures", "checks_bucket_owner")
_UPSTREAM_FILES = ("_ca", "_client_cert", "_client_key", "_proxy")


def _upstream_options(values: dict[str, object]) -> dict[str, object]:
    """Turn ``sagemaker = "http://…"`` into its table; return what holds for all upstreams."""
    table = values.get("upstream")
    if not isinstance(table, dict):
        return {}
    options = {name: table.pop(name) for name in _UPSTREAM_OPTIONS if name in table}
    for service, value in table.items():
        table[service] = {"url": value} if isinstance(value, str) else value
    return options


def _dotted(variable: str) -> str:
    """Return "listen.address" for OPENTRAIL_LISTEN_ADDRESS, and so on.

    Raises: UsageError: what it names can be set in the file only.
    """
    name = variable.removeprefix(ENV_PREFIX).lower()
    if name.startswith(_FILE_ONLY) or _is_upstream_option(name):
        raise UsageError(f"{variable}: this can be set in the settings file only (--config)")
    if name in _SECTIONS:
        raise UsageError(f"{variable}: {name} is a table; name a setting of it: {variable}_…")
    for section in _SECTIONS:
        if name.startswith(section + "_"):
            return f"{section}.{name[len(section) + 1 :]}"
    if name == "upstream" or name.startswith("upstream_"):
        service = name[len("upstream_") :].replace("_", "-") or "default"
        return f"upstream.{service}.url"
    return name


def _is_upstream_option(name: str) -> bool:
    """Whether a variable's name means something of an upstream that is not its URL."""
    files = name.startswith("upstream_") and name.endswith(_UPSTREAM_FILES)
    return files or name.endswith(_UPSTREAM_OPTIONS)


def _refuse_unknown(tree: _Tree) -> None:
    """Refuse what is no setting, and name the nearest. Raises: UsageError."""
    for prefix, table, shape in _shaped_tables(tree.values):
        known = list(_types_of(shape))
        for key in table:
            if key not in known:
                closest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
                near = _of_another_table(key) or prefix + closest
                said = f"{tree.source(prefix + key)}: unknown setting {prefix}{key}"
                raise UsageError(f"{said}; did you mean {near}?")


def _of_another_table(key: str) -> str:
    """Return the dotted name of the setting that is called ``key`` in whichever table it is; "" if none."""
    for section, shape in _SECTIONS.items():
        if key in _types_of(shape):
            return f"{section}.{key}"
    return ""


def _shaped_tables(
    values: dict[str, object],
) -> Iterator[tuple[str, dict[str, object], type[msgspec.Struct]]]:
    """Yield each table that has a shape: its prefix, itself, its shape."""
    yield "", values, Settings
    for field, value in values.items():
        if not isinstance(value, dict):
            continue
        if field in _SECTIONS:
            yield f"{field}.", value, _SECTIONS[field]
        for name, entry in value.items() if field in _TABLES else ():
            if isinstance(entry, dict):
                yield f"{field}.{name}.", entry, _TABLES[field]


def _converted(tree: _Tree, options: dict[str, object]) -> Settings:
    """Return the typed settings. Raises: UsageError, which names the setting, never its value."""
    values = dict(tree.values)
    for section, shape in _TABLES.items():
        table = values.get(section, {})
        if isinstance(table, dict):
            common = options if section == "upstream" else {}
            values[section] = {
                name: _convert(tree, f"{section}.{name}", _with(common, entry), shape)
                for name, entry in table.items()
            }
    return _convert(tree, "", values, Settings)


def _with(common: dict[str, object], entry: object) -> object:
    return {**common, **entry} if isinstance(entry, dict) else entry


_T = TypeVar("_T")


def _convert(tree: _Tree, dotted: str, value: object, shape: type[_T]) -> _T:
    try:
        return msgspec.convert(value, shape, strict=False)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$.")
        path = path.rstrip("`")
        name = ".".join(filter(None, (dotted, path)))
        raise UsageError(
            f"{tree.source(name)}: {name}: {_in_words(said, _type_at(shape, path))};"
            " see docs/configuration.md"
        ) from error


_WORDS = {
    "`str`": "text",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table",
    "`date`": "a date",
}
"""msgspec's kinds as TOML's documents call them."""
_MISSING = "Object missing required field "
_UNQUOTED = ("a whole number", "a number", "true or false", "a date")


def _in_words(said: str, kind: object) -> str:
    """Return what is wrong with a setting as an operator would say it; ``said`` is msgspec's."""
    if get_origin(kind) is Literal:
        return f"it is one of {', '.join(map(repr, get_args(kind)))}"
    if "matching regex" in said and (shown := _description(kind)):
        return f"it is {shown}"
    if said.startswith(_MISSING):
        return f"{said.removeprefix(_MISSING)} is missing"
    for msgspecs, word in _WORDS.items():
        said = said.replace(msgspecs, word)
    if said.startswith("Expected text, got ") and said.endswith(_UNQUOTED):
        said += ": write it in double quotes"
    return said


def _description(kind: object) -> str:
    """Return what an annotated type, or one of a union, says of its values; "" if nothing."""
    found = (
        each.description if isinstance(each, msgspec.Meta) else _description(each)
        for each in get_args(kind)
    )
    return next(filter(None, found), "")


def _type_at(shape: object, path: str) -> object:
    """Return the type of the setting at ``path`` of ``shape``; None: it has none.

    msgspec writes "accounts[0]" of a list's, "bucket_owners[...]" of a table's.
    """
    for part in path.replace("[...]", "[]").split("."):
        name, _, of_several = part.partition("[")
        hints = get_type_hints(shape, include_extras=True) if isinstance(shape, type) else {}
        shape = hints.get(name)
        if of_several:
            shape = get_args(shape)[1 if get_origin(shape) is dict else 0]
    return shape
