# SPDX-License-Identifier: Apache-2.0
"""Queries as trees, and what they hold for by the plainest reading of a record: nothing of the product.

Fields are those whose value is in the record itself; names derived from it have tests of their own.
"""

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import hypothesis.strategies as st

FIELDS = (
    "eventName",
    "eventSource",
    "errorCode",
    "errorMessage",
    "sourceIPAddress",
    "userAgent",
    "userIdentity.type",
    "userIdentity.userName",
    "requestParameters.bucketName",
    "requestParameters.list.name",
    "responseElements",
)


class Tree(Protocol):
    """A query."""

    def text(self) -> str:
        """Return it as it is typed."""
        ...

    def holds(self, record: Any) -> bool:
        """Return whether it holds for a parsed record."""
        ...


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def at(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from at(each, path)
    elif not path:
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name.lower() == path[0].lower():
                yield from at(inner, path[1:])


def texts_at(record: Any, field: str) -> list[str]:
    found = (each for each in at(record, field.split(".")) if each is not None)
    return [
        each if isinstance(each, str) else json.dumps(each, separators=(",", ":")) for each in found
    ]


def all_texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from all_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from all_texts(inner)
    elif isinstance(value, str):
        yield value


@dataclass(frozen=True)
class Equal:
    field: str
    value: str
    operator: str = "="

    def text(self) -> str:
        return f"{self.field}{self.operator}{quoted(self.value)}"

    def holds(self, record: Any) -> bool:
        return (self.value in texts_at(record, self.field)) is (self.operator == "=")


@dataclass(frozen=True)
class Begins:
    field: str
    value: str

    def text(self) -> str:
        return f"{self.field}={quoted(self.value + '*')}"

    def holds(self, record: Any) -> bool:
        return any(each.startswith(self.value) for each in texts_at(record, self.field))


@dataclass(frozen=True)
class Contains:
    field: str
    value: str
    operator: str = "~"

    def text(self) -> str:
        return f"{self.field}{self.operator}{quoted(self.value)}"

    def holds(self, record: Any) -> bool:
        found = any(self.value.lower() in each.lower() for each in texts_at(record, self.field))
        return found is (self.operator == "~")


@dataclass(frozen=True)
class Network:
    value: str

    def text(self) -> str:
        return f"sourceIPAddress={self.value}"

    def holds(self, record: Any) -> bool:
        network = ipaddress.ip_network(self.value)
        for each in texts_at(record, "sourceIPAddress"):
            try:
                if ipaddress.ip_address(each) in network:
                    return True
            except ValueError:
                continue
        return False


@dataclass(frozen=True)
class Anywhere:
    value: str

    def text(self) -> str:
        return quoted(self.value)

    def holds(self, record: Any) -> bool:
        raw = json.dumps(record, separators=(",", ":"), ensure_ascii=False).lower()
        wanted = self.value.lower()
        return wanted in raw or any(wanted in each.lower() for each in all_texts(record))


@dataclass(frozen=True)
class Negated:
    inner: Tree

    def text(self) -> str:
        return f"not ({self.inner.text()})"

    def holds(self, record: Any) -> bool:
        return not self.inner.holds(record)


@dataclass(frozen=True)
class Joined:
    word: str
    parts: tuple[Tree, ...]

    def text(self) -> str:
        return "(" + f" {self.word} ".join(part.text() for part in self.parts) + ")"

    def holds(self, record: Any) -> bool:
        held = (part.holds(record) for part in self.parts)
        return any(held) if self.word == "or" else all(held)


def trees(values: st.SearchStrategy[str]) -> st.SearchStrategy[Tree]:
    """Draw queries over ``values``; asterisks and what looks like a network are not among them."""
    fields = st.sampled_from(FIELDS)
    leaves: st.SearchStrategy[Tree] = st.one_of(
        st.builds(Equal, fields, values, st.sampled_from(("=", "!="))),
        st.builds(Begins, fields, values.map(lambda value: value[:4])),
        st.builds(Contains, fields, values.map(lambda value: value[1:5] or value), st.sampled_from(("~", "!~"))),
        st.builds(Network, st.sampled_from(("10.0.0.0/8", "192.0.2.0/25", "2001:db8::/32", "0.0.0.0/0"))),
        st.builds(Anywhere, values.filter(bool)),
    )  # fmt: skip
    joined = st.sampled_from(("and", "or"))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(Negated, inner),
            st.builds(Joined, joined, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        ),
        max_leaves=6,
    )
