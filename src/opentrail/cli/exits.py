# SPDX-License-Identifier: Apache-2.0
"""Exit codes: 0 done, 1 the answer is no, and the kinds of errors."""

from opentrail.errors import ClientError, Corrupt, OpenTrailError, Unavailable, UsageError

EXIT_NO = 1
"""Nothing found, or not valid."""
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3
"""Something that is needed did not answer."""
EXIT_CORRUPT = 4
"""Stored data does not check out."""
EXIT_INTERRUPTED = 130
"""By Ctrl-C; what a shell says of a program that SIGINT ended."""
EXIT_PIPE = 141
"""Whoever read the output is gone; what a shell says of a program that SIGPIPE ended."""

_KINDS: dict[type[OpenTrailError], int] = {
    UsageError: EXIT_USAGE,
    ClientError: EXIT_USAGE,
    Unavailable: EXIT_UNAVAILABLE,
    Corrupt: EXIT_CORRUPT,
}


def exit_code(error: OpenTrailError) -> int:
    """Return the exit code that says what kind of error it was."""
    return next(code for kind, code in _KINDS.items() if isinstance(error, kind))
