# SPDX-License-Identifier: Apache-2.0
"""The implementations of State that the contract suite runs over: a new one is one row here."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from support.memory_state import MemoryState

from opentrail.state.base import State
from opentrail.state.sqlite import SqliteState

Opener = Callable[[Path], AbstractContextManager[State]]

_kept: dict[Path, MemoryState] = {}
"""So that a store opened again is the same one."""


@contextmanager
def sqlite(folder: Path) -> Iterator[State]:
    """The embedded store."""
    with closing(SqliteState.open(folder / "state.db")) as state:
        yield state


@contextmanager
def memory(folder: Path) -> Iterator[State]:
    """The fake that other tests use."""
    yield _kept.setdefault(folder, MemoryState())


OPENERS: dict[str, Opener] = {"sqlite": sqlite, "memory": memory}
