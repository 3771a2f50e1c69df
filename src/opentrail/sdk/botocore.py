# SPDX-License-Identifier: Apache-2.0
"""Record every AWS call of a program, as its own side sees it: with retries and connection errors.

Without a change to the program: ``BOTOCORE_EXPERIMENTAL__PLUGINS=opentrail=opentrail.sdk.botocore``.
With one: ``opentrail.sdk.botocore.instrument()`` before the first client is made. Source: botocore's
events ("Extensibility guide" of boto3); the variable is botocore's own, and experimental there.
"""

import atexit
import functools
import importlib.util
import logging
import os
import platform
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from msgspec import UNSET, UnsetType

from opentrail.sdk.audit import Untyped
from opentrail.sdk.echoes import without_echoes
from opentrail.sdk.guard import Guard
from opentrail.sdk.operations import Known, known
from opentrail.sdk.record import Fields, Record, text
from opentrail.sdk.recorder import Recorder
from opentrail.sdk.shapes import Forms
from opentrail.sdk.system import iso_seconds, new_id, now_s

PLUGINS_VARIABLE = "BOTOCORE_EXPERIMENTAL__PLUGINS"
ATTEMPTS_MAX = 20
"""Attempts that are told one by one; botocore's own default is five at the most."""

NO_RESPONSE = "NoResponse"
"""errorCode of a call that was broken off: nobody knows whether it took effect."""

_log = logging.getLogger("opentrail.sdk")
_CONTEXT = "opentrail"
_MODULE = __name__
_CREDENTIAL = re.compile(
    r"Credential=([^/,\s]{1,128})/\d{8}/(?:([^/,\s]{0,64})/)?([^/,\s]{0,64})/aws4_request"
)
"""SigV4a names no region."""
_SIGV4 = "AWS4-"
_MANAGEMENT = "Management"
KEYS_CACHED = 64
"""Keys, with day, region and service, whose text is read once: a program uses few."""
_HOST = platform.node()
_IDENTIFIER = "opentrail-sdk"


@dataclass(slots=True)
class _Call:
    """One call under way."""

    model: Untyped
    parameters: dict[str, Any]
    broken_off: "deque[_Call]"
    """Where it goes when nobody tells of its end."""
    attempts: list[Fields] = field(default_factory=list)
    count: int = 0
    """Attempts that were made; 0: it was never sent, so that it is no call yet."""
    access_key_id: str = ""
    region: str = ""
    """What the signature names; the client's where there is none."""
    signing_name: str = ""
    user_agent: str = ""
    host: str = ""
    at_s: float = 0.0
    """When it ended; 0: it has not."""

    def __del__(self) -> None:
        """Note a call that was broken off (a task that was cancelled, Ctrl-C): botocore tells nobody.

        Any code may be running now, so that nothing else can be done here.
        """
        if self.count and not self.at_s:
            self.at_s = now_s()
            self.broken_off.append(self)


class Plugin:
    """Records the calls of the clients that it is attached to."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        """Without a ``recorder`` one is made, of the environment, when something is attached."""
        self._recorder = recorder
        self._guard = Guard(self._troubled)
        self._broken_off: deque[_Call] = deque()
        self._at_end = False
        """Whether the program's end is waited for."""

    def _troubled(self, error: Exception) -> None:
        self.recorder.failed(error)

    @property
    def recorder(self) -> Recorder:
        """Where the records go. Raises: ValueError: the environment's endpoint, account or region is none."""
        if self._recorder is None:
            self._recorder = Recorder()
        return self._recorder

    def attach(self, events: Untyped) -> None:
        """Listen to ``events``, an emitter of botocore's, of a session or of one client.

        Raises: ValueError: the environment's endpoint, account or region is none.
        """
        self.use(self.recorder)
        if not self._at_end:
            self._at_end = True
            atexit.register(self.tell_of_broken_off)  # before the recorder's own, which is older
        for name, handler in (
            ("before-parameter-build", self._begin),
            ("response-received", self._attempt),
            ("after-call", self._end),
            ("after-call-error", self._failed),
        ):
            events.register(name, handler, unique_id=f"{_IDENTIFIER}-{name}")
        # Last: what signs the request listens to the same.
        events.register_last("request-created", self._sent, unique_id=f"{_IDENTIFIER}-sent")

    def use(self, recorder: Recorder) -> None:
        """Have the records of all calls from now on go to ``recorder``."""
        self._recorder = recorder

    def _begin(self, params: Untyped, model: Untyped, context: Untyped, **_: Untyped) -> None:
        """Note the parameters as the program gave them; handlers that come later change them."""
        if self._broken_off:
            self.tell_of_broken_off()
        if isinstance(context, dict) and isinstance(params, dict):
            call = context[_CONTEXT] = _Call(model, dict(params), self._broken_off)
            call.region = context.get("client_region") or ""

    def tell_of_broken_off(self) -> None:
        """Record the calls of which nobody told the end; the next call or the program's end does this."""
        with self._guard:
            while self._broken_off:
                self._record(self._broken_off.popleft(), (NO_RESPONSE, ""), {})

    def _sent(self, request: Untyped, **_: Untyped) -> None:
        """Note who signed an attempt, which may be another one than before."""
        with self._guard:
            call = request.context.get(_CONTEXT)
            if call is None:
                return
            call.count += 1
            headers = request.headers
            signed = _string(headers.get("Authorization", ""))
            if signed.startswith(_SIGV4):
                found = _credential(signed.partition(",")[0])
                if found is not None:
                    call.access_key_id, region, call.signing_name = found
                    call.region = region or call.region
            call.user_agent = _string(headers.get("User-Agent", ""))
            call.host = request.url.split("/", 3)[2].rpartition("@")[2]

    def _attempt(
        self, response_dict: Untyped, exception: Untyped, context: Untyped, **_: Untyped
    ) -> None:
        with self._guard:
            call = context.get(_CONTEXT)
            if call is None or len(call.attempts) >= ATTEMPTS_MAX:
                return
            attempt: Fields = {}
            if response_dict is not None:
                attempt["status"] = response_dict["status_code"]
                request_id = _request_id(response_dict["headers"])
                if request_id:
                    attempt["requestID"] = request_id
            if exception is not None:
                attempt["error"] = type(exception).__name__
            call.attempts.append(attempt)

    def _end(self, parsed: Untyped, context: Untyped, **_: Untyped) -> None:
        with self._guard:
            call = context.pop(_CONTEXT, None)
            if call is None or not call.count:
                return  # nothing was sent: a stub has answered
            error = parsed.get("Error")
            said = (error.get("Code") or "Unknown", error.get("Message") or "") if error else ()
            self._record(call, tuple(map(str, said)), parsed)

    def _failed(self, exception: Untyped, context: Untyped, **_: Untyped) -> None:
        """Record a call that got no answer: nobody knows whether it took effect.

        One that could not even be signed was never sent.
        """
        with self._guard:
            call = context.pop(_CONTEXT, None)
            if call is not None and call.count:
                self._record(call, (type(exception).__name__, ""), {})

    def _record(self, call: _Call, error: tuple[str, ...], parsed: dict[str, Any]) -> None:
        """Have the record sent; ``error`` is its code and message, or nothing."""
        call.at_s = call.at_s or now_s()
        operation = _operation(call.model)
        recorder = self.recorder
        metadata = parsed.get("ResponseMetadata")
        request_id = metadata.get("RequestId") if isinstance(metadata, dict) else None
        how = operation.how
        other_source = call.signing_name not in ("", operation.signing_name)
        written = None if error or not how.answers else operation.write_answer(parsed)
        answer = recorder.hide_given("responseElements", written)
        given = operation.write_request(call.parameters)
        parameters = recorder.hide_given("requestParameters", given)
        made = Record(
            user_identity=_identity(call, recorder.account),
            event_time=iso_seconds(int(call.at_s)),
            event_source=f"{call.signing_name}.amazonaws.com" if other_source else how.event_source,
            event_name=how.event_name,
            aws_region=call.region or recorder.region,
            source_ip_address=_HOST,
            user_agent=text(call.user_agent),
            error_code=text(error[0]) if error else UNSET,
            error_message=_message(error[1], call.parameters, parameters) if error else UNSET,
            request_parameters=parameters,
            response_elements=answer,
            additional_event_data=_additional(call),
            request_id=text(str(request_id)) if request_id else UNSET,
            event_id=new_id(),
            read_only=how.reads,
            resources=[{"type": how.data_type}] if how.data_type else UNSET,
            management_event=how.category == _MANAGEMENT,
            recipient_account_id=recorder.account,
            event_category=how.category,
        )
        recorder.send(made)


def _message(said: str, given: object, shown: object) -> str | UnsetType:
    """Return an error's message as records have it; none of a page that is no AWS error."""
    if not said or said.startswith("<"):
        return UNSET
    return text(without_echoes(said, given, shown)) or UNSET


def _string(value: object) -> str:
    """Return a header, which botocore keeps as text or as bytes."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _request_id(headers: Untyped) -> str:
    for name in ("x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"):
        found = headers.get(name)
        if found:
            return text(str(found))
    return ""


@functools.lru_cache(maxsize=KEYS_CACHED)
def _credential(beginning: str) -> tuple[str, str, str] | None:
    """Return the id of a key, the region and the service that a signature's first part names."""
    found = _CREDENTIAL.search(beginning)
    return None if found is None else (found[1], found[2] or "", found[3])


@dataclass(frozen=True, slots=True)
class _Operation:
    """What the calls of one operation have in common."""

    how: Known
    signing_name: str
    write_request: Callable[[Mapping[str, Any]], dict[str, Any] | None]
    write_answer: Callable[[Mapping[str, Any]], dict[str, Any] | None]


_forms: "WeakKeyDictionary[Any, Forms]" = WeakKeyDictionary()
_operations: "WeakKeyDictionary[Any, _Operation]" = WeakKeyDictionary()


def _operation(model: Untyped) -> _Operation:
    """Return what is known of an operation; botocore keeps one model of it for each client."""
    operation = _operations.get(model)
    if operation is None:
        service = model.service_model
        forms = _forms.get(service)
        if forms is None:
            forms = _forms[service] = Forms(service)
        signing_name = str(service.signing_name)
        how = known(service.service_name, signing_name, model.name)
        operation = _operations[model] = _Operation(
            how,
            signing_name,
            forms.writer(model.input_shape, how.left_out, how.hidden),
            forms.writer(model.output_shape, how.answer_left_out, how.hidden),
        )
    return operation


def _identity(call: _Call, account: str) -> Fields:
    """Return what is known of the caller: the id of a key, which nobody here has verified."""
    identity: Fields = {"type": "Unknown", "accountId": account}
    if call.access_key_id:
        identity["accessKeyId"] = call.access_key_id
    return identity


def _additional(call: _Call) -> Fields:
    told: Fields = {"identityVerified": False, "recordedBy": _MODULE, "attempts": call.attempts}
    if call.host:
        told["endpoint"] = call.host
    if call.count > len(call.attempts):
        told["attemptCount"] = call.count
    return told


_shared = Plugin()


def initialize_client_plugin(client: Untyped) -> None:
    """Attach to a new client; botocore calls this for each, if PLUGINS_VARIABLE names this module."""
    _attach(client.meta.events)


def awscli_initialize(event_handlers: Untyped) -> None:
    """Attach to the AWS CLI (version 1), if ``[plugins]`` of its configuration names this module."""
    _attach(event_handlers)


def _attach(events: Untyped) -> None:
    """Attach where nobody would hear of an error."""
    try:
        _shared.attach(events)
    except ValueError as error:
        _log.error("AWS calls are not recorded: %s", error)


def instrument(*sessions: Untyped, recorder: Recorder | None = None) -> None:
    """Record the calls of all clients that are made from now on; or only those of ``sessions``.

    ``sessions`` are of boto3, botocore or aiobotocore, or clients. Doing it twice records once.
    Raises: RuntimeError: this botocore knows no plugins, so that sessions must be named.
    """
    if recorder is not None:
        _shared.use(recorder)
    for session in sessions:
        _shared.attach(_events(session))
    if not sessions:
        if importlib.util.find_spec("botocore.plugin") is None:
            raise RuntimeError("this botocore has no plugins: instrument(session) instead")
        entry = f"opentrail={_MODULE}"
        given = [each for each in os.environ.get(PLUGINS_VARIABLE, "").split(",") if each]
        if entry not in given:
            os.environ[PLUGINS_VARIABLE] = ",".join([*given, entry])


def _events(session: Untyped) -> Untyped:
    """Return the emitter of a session or a client."""
    if hasattr(session, "meta"):
        return session.meta.events
    if hasattr(session, "events"):
        return session.events
    return session.get_component("event_emitter")
