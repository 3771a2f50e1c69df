# SPDX-License-Identifier: Apache-2.0
"""What an operation of the stand-in is given, and the errors that all of them share."""

from collections.abc import Callable
from dataclasses import dataclass

from opentrail.aws.model import Operation
from opentrail.clock import Ids
from opentrail.errors import ClientError
from opentrail.sandbox.shapes import Members, modelled_code
from opentrail.sandbox.state import Scope

VALIDATION_CODES = {
    "personalize": "InvalidInputException",
    "personalize-events": "InvalidInputException",
    "personalize-runtime": "InvalidInputException",
    "sagemaker-featurestore-runtime": "ValidationError",
    "sagemaker-runtime": "ValidationError",
}
"""Service -> how it calls bad input; the others say ValidationException."""

NOT_FOUND_CODES = ("ResourceNotFound", "ResourceNotFoundException")
TAKEN_CODES = ("ResourceInUse", "ResourceAlreadyExistsException", "ConflictException")
BUSY_CODES = ("ResourceInUse", "ResourceInUseException", "ConflictException")
LIMIT_CODES = (
    "ResourceLimitExceeded",
    "LimitExceededException",
    "ServiceQuotaExceededException",
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the stand-in's pretended work goes, in milliseconds."""

    settle_ms: int = 500
    """Until what was made or changed is ready."""
    job_ms: int = 3_000
    """What a job takes."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call: what it asks, of whom, when."""

    service: str
    """botocore's service directory."""
    operation: Operation
    members: Members
    """Checked: required members are there and of the right kind."""
    body: bytes
    scope: Scope
    now_ms: int
    ids: Ids
    pace: Pace

    @property
    def validation_code(self) -> str:
        """The service's error code for bad input."""
        return VALIDATION_CODES.get(self.service, "ValidationException")

    @property
    def limit_code(self) -> str:
        """The operation's error code for too many of something."""
        return modelled_code(self.operation, *LIMIT_CODES) or self.validation_code

    def text(self, member: str) -> str:
        """Return a string member, or "" when it is not there."""
        value = self.members.get(member)
        return value if isinstance(value, str) else ""

    def listed(self, member: str) -> list[object]:
        """Return a list member, or an empty list when it is not there."""
        value = self.members.get(member)
        return value if isinstance(value, list) else []

    def structures(self, member: str) -> list[Members]:
        """Return a list of structures, or an empty list when it is not there."""
        return [item for item in self.listed(member) if isinstance(item, dict)]

    def bad_input(self, text: str) -> ClientError:
        """Return the service's error for bad input."""
        return self._error((), text)

    def not_found(self, text: str) -> ClientError:
        """Return the operation's error for what does not exist."""
        return self._error(NOT_FOUND_CODES, text)

    def taken(self, text: str) -> ClientError:
        """Return the operation's error for a name that is in use."""
        return self._error(TAKEN_CODES, text)

    def busy(self, text: str) -> ClientError:
        """Return the operation's error for something in the wrong status."""
        return self._error(BUSY_CODES, text)

    def _error(self, codes: tuple[str, ...], text: str) -> ClientError:
        code = modelled_code(self.operation, *codes) or self.validation_code
        return ClientError(code, text, self.error_status(code))

    def error_status(self, code: str) -> int:
        """Return the HTTP status of an error, 400 where the model does not say another."""
        statuses = (row.status for row in self.operation.errors if row.code == code)
        return next(statuses, 0) or 400


Handler = Callable[[Request], Members]
"""Answers one operation with its output's members; a streamed body is bytes.

Raises: ClientError with a code that the service's clients know.
"""
