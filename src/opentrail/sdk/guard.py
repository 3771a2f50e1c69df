# SPDX-License-Identifier: Apache-2.0
"""Keeps what goes wrong in recording from the program that is recorded."""

from collections.abc import Callable
from types import TracebackType
from typing import Self


class Guard:
    """Tells what was raised within it, and has the program go on.

    Callables of the user's run in there too, so anything may be raised; none of it is passed over.
    """

    __slots__ = ("_tell",)

    def __init__(self, tell: Callable[[Exception], None]) -> None:
        self._tell = tell

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            self._tell(error)
            return True
        return False
