# SPDX-License-Identifier: Apache-2.0
"""One HTTP call of a user's own service, as a record: what all the middleware have in common."""

import fnmatch
import http
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

import msgspec
from msgspec import UNSET, UnsetType

from opentrail.sdk.audit import PLAIN, AuditEvent
from opentrail.sdk.body import BODY_BYTES_MAX, Body, pairs
from opentrail.sdk.echoes import without_echoes
from opentrail.sdk.given import names, only
from opentrail.sdk.guard import Guard
from opentrail.sdk.record import Fields, Record, encoded, omitted, text, written
from opentrail.sdk.recorder import Recorder
from opentrail.sdk.system import iso_seconds, new_id, now_s

UNKNOWN_OPERATION = "UnknownOperation"
"""eventName of a call that no route took; the word of the server's own records."""
NO_RESPONSE = "NoResponse"
"""errorCode of a call that the service ended without an answer: its client had left, perhaps."""
ERROR_STATUS = 400
EXCHANGE_BYTES = 2048
"""What an exchange keeps beside its bodies, its query and the texts of its headers, or less."""

_READS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_CODES = ("__type", "errorCode", "error_code", "code", "error")
_MESSAGES = ("message", "errorMessage", "error_description", "detail")
_CODE = re.compile(r"[!-~]{1,256}")
"""Of answers under these names; what has blanks is a message, and may quote what the call said."""
_PLAIN = frozenset({str, int, float, bool, type(None)})

Actor = Callable[[Any], str | Mapping[str, Any] | None]
"""Says who makes a request: a name, or a whole userIdentity; None: nobody who is known."""


class Given(TypedDict, total=False):
    """How a service's calls are recorded, as its author gives it."""

    actor: Actor
    """Says who makes a call; it is given the framework's request."""
    excluded: Iterable[str]
    """Paths that are not recorded, with ``*`` for any text: "/health", "/static/*"."""
    body_bytes_max: int
    """Longest body that is recorded; BODY_BYTES_MAX if not given."""
    requests: bool
    """False: no requestParameters."""
    responses: bool
    """False: no responseElements."""


class Options:
    """How a service's calls are recorded."""

    def __init__(self, recorder: Recorder, given: Given) -> None:
        """Read the options. Raises: TypeError: one is none of ``Given``."""
        only(given, Given.__annotations__, "AuditMiddleware")
        self.recorder = recorder
        self.actor = given.get("actor")
        excluded = names(given.get("excluded", ()), "excluded")
        patterns = "|".join(map(fnmatch.translate, excluded))
        self._excluded = re.compile(patterns).match if patterns else None
        self.body_bytes_max = given.get("body_bytes_max", BODY_BYTES_MAX)
        self.requests = given.get("requests", True)
        self.responses = given.get("responses", True)
        self.guard = Guard(recorder.failed)

    def excludes(self, path: str) -> bool:
        """Whether calls of ``path`` are not recorded; each is counted then."""
        if self._excluded is None or self._excluded(path) is None:
            return False
        self.recorder.excluded()
        return True


class Exchange(msgspec.Struct, gc=False):
    """One call, as a framework knows it once it is answered."""

    method: str
    query: str
    request: Body
    response: Body
    status: int = 0
    """0: there was no answer."""
    name: str = ""
    """Of the operation; empty when no route took the call."""
    route: str = ""
    """The route's pattern: "/orders/{id}"."""
    path_parameters: Mapping[str, object] | None = None
    event: AuditEvent = PLAIN
    failure: str = ""
    """The exception that the service raised."""
    source_ip: str = ""
    user_agent: str = ""
    request_id: str = ""
    at_s: float = 0.0
    """When it was answered."""
    identity: Any = None
    """Who made the call; None: nobody who is known."""
    lacks: dict[str, str] = {}
    """Of fields that a callable of the user's could not say: the error."""


def record(options: Options, exchange: Exchange, framework_request: object) -> None:
    """Have the record of ``exchange`` sent.

    The sender's thread makes it, unless something of the user's has a part in that: a callable, or
    an object that may change. Who is asked for an actor is asked here.
    """
    event = exchange.event
    recorder = options.recorder
    if not event.record:
        recorder.excluded()
        return
    exchange.at_s = now_s()
    if options.actor is not None:
        with _going_without(recorder, exchange, "userIdentity"):
            exchange.identity = _identity(options, options.actor(framework_request))
    if recorder.asks_callables or callable(event.resources) or not _lasts(exchange):
        recorder.send(_made(options, exchange))
        return
    recorder.send_made(_Waiting(options, exchange), _kept_bytes(exchange))


def _going_without(recorder: Recorder, exchange: Exchange, field: str) -> Guard:
    """Have a call be recorded without ``field`` where that raises; its record then says so.

    Callers choose what the user's callables are given: none may choose not to be recorded.
    """

    def note(error: Exception) -> None:
        exchange.lacks[field] = type(error).__name__
        recorder.failed(error, field)

    return Guard(note)


class _Waiting(msgspec.Struct, gc=False):
    """A record that is yet to be made. Out of the sender's queue nothing leads back to it."""

    options: Options
    exchange: Exchange

    def __call__(self) -> bytes:
        return encoded(_made(self.options, self.exchange))


def _lasts(exchange: Exchange) -> bool:
    """Whether what ``exchange`` has of the framework stays as it is; its path parameters then do."""
    given = exchange.path_parameters
    if given:
        exchange.path_parameters = given = dict(given)
        return _PLAIN.issuperset(map(type, given.values()))
    return True


def _kept_bytes(exchange: Exchange) -> int:
    """Return what waits with ``exchange``."""
    texts = len(exchange.query) + len(exchange.user_agent) + len(exchange.request_id)
    return EXCHANGE_BYTES + texts + exchange.request.kept + exchange.response.kept


def _made(options: Options, exchange: Exchange) -> Record:
    event = exchange.event
    recorder = options.recorder
    reads = exchange.method in _READS if event.read_only is None else event.read_only
    wanted = options.requests or callable(event.resources)
    parameters = _parameters(exchange) if wanted else {}
    answer = exchange.response.value("responseElements") if options.responses else None
    if not exchange.status and not exchange.failure:
        exchange.failure = NO_RESPONSE
    failed = exchange.status >= ERROR_STATUS or bool(exchange.failure)
    shown = None
    if parameters and options.requests:
        shown = _hidden(recorder, exchange, "requestParameters", parameters)
    code, said = _error(exchange, answer) if failed else (UNSET, "")
    return Record(
        user_identity=exchange.identity or {"type": "Unknown", "accountId": recorder.account},
        event_time=iso_seconds(int(exchange.at_s)),
        event_source=recorder.source,
        event_name=event.name or exchange.name or UNKNOWN_OPERATION,
        aws_region=recorder.region,
        source_ip_address=exchange.source_ip,
        user_agent=text(exchange.user_agent),
        error_code=code,
        error_message=text(without_echoes(said, parameters, shown)) if said else UNSET,
        request_parameters=shown,
        response_elements=None
        if failed or reads or answer is None
        else _object(_hidden(recorder, exchange, "responseElements", answer)),
        resources=UNSET
        if event.resources is None
        else _resources(recorder, exchange, event, parameters),
        additional_event_data=_additional(exchange),
        request_id=text(exchange.request_id) or UNSET,
        event_id=new_id(),
        read_only=reads,
        recipient_account_id=recorder.account,
    )


def _hidden(recorder: Recorder, exchange: Exchange, field: str, value: object) -> object:
    """Return ``value`` with what is secret hidden; a marker where nobody could say what is."""
    names = tuple(exchange.event.redact)
    if not recorder.asks_callables:
        return recorder.hide(value, names)
    with _going_without(recorder, exchange, field):
        return recorder.hide(value, names)
    return omitted(field, 0, "not redacted")


def _additional(exchange: Exchange) -> Fields:
    told: Fields = {
        "httpMethod": exchange.method,
        "httpRoute": exchange.route,
        "httpStatus": exchange.status,
    }
    if exchange.lacks:
        told["notRecorded"] = exchange.lacks
    return told


def _object(value: object) -> object:
    """Return what stands in a record's place for an object; an answer may be a list."""
    return value if type(value) is dict else {"body": value}


def _parameters(exchange: Exchange) -> dict[str, Any]:
    """Return path, query and body as one object; a name that stands in several keeps all.

    The path's goes by its own name, then the query's; others become ``query.name``, ``body.name``.
    """
    found: dict[str, Any] = dict(exchange.path_parameters or ())
    if exchange.query:
        _merge(found, "query", pairs(exchange.query))
    body = exchange.request.value("requestParameters")
    if isinstance(body, dict) and not exchange.request.omitted:
        _merge(found, "body", body)
    elif body is not None:
        found["body"] = body
    return found


def _merge(found: dict[str, Any], place: str, more: dict[str, Any]) -> None:
    for name, value in more.items():
        found[f"{place}.{name}" if name in found else name] = value


def _identity(options: Options, actor: object) -> object:
    """Return who made the call: what ``actor`` says, which nobody here has verified."""
    if actor is None:
        return None
    if isinstance(actor, Mapping):
        return written(dict(actor))  # it is the user's, who may change it
    name = text(_name(actor))
    account = options.recorder.account
    return {"type": "Unknown", "principalId": name, "accountId": account, "userName": name}


def _name(actor: object) -> str:
    """Return an actor's name: also of a header's bytes, a number or an object of the framework's."""
    if isinstance(actor, bytes):
        return actor.decode("utf-8", "replace")
    if (
        not isinstance(actor, int) and type(actor).__str__ is object.__str__
    ):  # a coroutine, a list: it would name a type
        raise TypeError(f"actor returned a {type(actor).__name__}, which is no name")
    return str(actor)


def _error(exchange: Exchange, answer: object) -> tuple[str, str]:
    """Return errorCode and errorMessage; "" where there is none."""
    if exchange.failure:
        return exchange.failure, ""
    said = answer if isinstance(answer, dict) else {}
    for inner in (said.get("error"), said.get("detail")):
        if isinstance(inner, dict):
            said = said | inner
    codes, texts = _strings(said, _CODES), _strings(said, _MESSAGES)
    texts += [each for each in codes if not _CODE.fullmatch(each)]
    code = next((each for each in codes if _CODE.fullmatch(each)), "")
    return code or _phrase(exchange.status), texts[0] if texts else ""


def _strings(said: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Return the texts under those of ``names`` that have one."""
    found = (said.get(name) for name in names)
    return [each for each in found if isinstance(each, str) and each]


def _phrase(status: int) -> str:
    """Return "NotFound" for 404, and so on."""
    try:
        return http.HTTPStatus(status).phrase.replace(" ", "").replace("-", "")
    except ValueError:
        return f"HTTP{status}"


def _resources(
    recorder: Recorder, exchange: Exchange, event: AuditEvent, parameters: dict[str, Any]
) -> list[Mapping[str, str]] | UnsetType:
    with _going_without(recorder, exchange, "resources"):
        given = event.resources(parameters) if callable(event.resources) else event.resources
        if isinstance(given, str | Mapping):
            given = (given,)
        return [
            {"accountId": recorder.account, "ARN": each} if isinstance(each, str) else dict(each)
            for each in given or ()
        ]
    return UNSET
