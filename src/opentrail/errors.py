# SPDX-License-Identifier: Apache-2.0
"""Every error that OpenTrail raises on purpose: the type says who is wrong.

    OpenTrailError
    ├── ClientError       the caller is wrong; carries the AWS error code and the HTTP status
    ├── Unavailable       something we depend on did not answer: the outcome is UNKNOWN
    ├── Corrupt           bytes that must check out do not: stop, tell a human where and what to do
    └── UsageError        the operator is wrong: one line that says what to change (exit code 2)

Errors are returned or raised, never logged and swallowed.
"""


class OpenTrailError(Exception):
    """Root of the tree; never raised itself."""


class ClientError(OpenTrailError):
    """The caller is wrong.

    ``code`` is the AWS error code ("InvalidNextTokenException"), ``message`` says what to change,
    ``status`` is the HTTP status that carries it.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class Unavailable(OpenTrailError):
    """What was asked may or may not have happened. ``hint`` says how to go on."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message if not hint else f"{message} ({hint})")
        self.message = message
        self.hint = hint


class Corrupt(OpenTrailError):
    """Stored bytes do not check out. ``where`` is a file and offset, ``hint`` how to go on."""

    def __init__(self, message: str, where: str, hint: str) -> None:
        super().__init__(f"{where}: {message} ({hint})")
        self.message = message
        self.where = where
        self.hint = hint


class UsageError(OpenTrailError):
    """The operator is wrong: a flag, a file, a port. The text is one line and says what to do."""
