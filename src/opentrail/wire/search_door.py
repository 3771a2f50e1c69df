# SPDX-License-Identifier: Apache-2.0
"""``POST /_opentrail/search``: any question about the events kept, a page at a time.

OpenTrail's own API, for programs; what it takes and answers is in docs/search-api.md.
"""

from collections.abc import Callable

import msgspec

from opentrail.clock import Clock
from opentrail.errors import ClientError, Corrupt, UsageError
from opentrail.event.codec import in_utf8
from opentrail.history.conditions import Condition, Everything, Is, all_of, any_of, size_of
from opentrail.history.derive import FIRST_S, LAST_S
from opentrail.history.fields import Event
from opentrail.history.hints import LOOKED_AT_FOR_PROGRAMS, hints
from opentrail.history.query import parse
from opentrail.history.search import Question, Searcher
from opentrail.history.table import TIME_MAX_S
from opentrail.wire.app import ApiResponse
from opentrail.wire.page_token import seal, unseal
from opentrail.wire.search_forms import FORMS, PAGE, ParquetDownloads

NEXT_TOKEN, RECORDS = b"x-opentrail-next-token", b"x-opentrail-records"
"""Headers by which front is told of a page whose body does not tell it."""
RESULTS_MAX = 1000
"""Events of a page; some 1.5 MB."""
RESULTS_DEFAULT = 50
"""As LookupEvents."""
PAGE_BYTES_MAX = 16 * 1024 * 1024
"""Of a page's records; a page of the largest ones ends early, with a token."""
READS_MAX = 100_000
"""Records looked at for a page, a second at most: then it ends, with a token, however few were found."""
CONDITIONS_FEW = 10
"""A query of more looks at so many records the fewer: each takes longer."""


class SearchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body of a request."""

    query: str = ""
    """As ``opentrail search`` takes it."""
    start_time: float | None = None
    """Oldest eventTime, inclusive, epoch seconds."""
    end_time: float | None = None
    """Newest eventTime, inclusive."""
    max_results: int = RESULTS_DEFAULT
    next_token: str | None = None


class SearchResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of an answer: the records with the very bytes that were appended, newest first."""

    records: list[msgspec.Raw] = msgspec.field(name="Records")
    next_token: str | None = msgspec.field(name="nextToken", default=None)
    """There may be more; a page may be empty and have one."""
    hints: list[str] = []
    """What the query may have misspelt, when it found nothing at all."""


class Asked(msgspec.Struct, frozen=True):
    """What front passes on."""

    body: bytes
    accounts: tuple[str, ...]
    """Whose events the caller may see; empty: everybody's."""
    form: str = PAGE.name
    """How a page is written: of ``search_forms.FORMS``."""
    download: str = ""
    """Its name, which all pages of it share."""
    dropped: bool = False
    """Nobody waits for it any more: there is no page to find."""


_request = msgspec.json.Decoder(SearchRequest).decode


class SearchDoor:
    """Answers searches."""

    def __init__(self, searcher: Callable[[int], Searcher], token_key: bytes, clock: Clock) -> None:
        """``searcher`` makes one that looks at so many records at most."""
        self._searcher = searcher
        self._token_key = token_key
        self._parquet = ParquetDownloads(clock)

    def handle(self, asked: Asked) -> ApiResponse:
        """Return one page. Raises: nothing: errors are answers, too."""
        if asked.dropped:
            self._parquet.drop(asked.download)
            return ApiResponse(200, [], b"")
        try:
            return self._answer(asked, _decoded(asked.body))
        except ClientError as error:
            return _error(error)
        except UsageError as error:
            return _error(ClientError("InvalidQueryStatementException", str(error)))
        except Corrupt:
            message = "A stored event does not check out; run opentrail fsck on the server."
            return _error(ClientError("InternalFailure", message, 500))

    def _answer(self, asked: Asked, request: SearchRequest) -> ApiResponse:
        """Return one page, written as asked for. Raises: as ``_page``."""
        events, token = self._page(asked, request)
        form = FORMS[asked.form]
        headers = [(b"content-type", form.media_type.encode()), (RECORDS, b"%d" % len(events))]
        if token is not None:
            headers.append((NEXT_TOKEN, token.encode()))
        if form is PAGE:
            records = [msgspec.Raw(in_utf8(event.data)) for event in events]
            nothing = not records and token is None and request.next_token is None
            told = self._hints(asked, request) if nothing else []
            body = msgspec.json.encode(SearchResponse(records, token, told))
        elif form.render is not None:
            body = form.render(events)
        else:
            first, last = request.next_token is None, token is None
            body = self._parquet.add(asked.download, events, first=first, last=last)
        return ApiResponse(200, headers, body)

    def _page(self, asked: Asked, request: SearchRequest) -> tuple[list[Event], str | None]:
        """Return a page and the token of the next.

        Raises: ClientError. UsageError: a query that says nothing. Corrupt.
        """
        parameters = msgspec.json.encode(
            (asked.accounts, msgspec.structs.replace(request, next_token=None))
        )
        token = request.next_token
        after = None if token is None else unseal(self._token_key, parameters, token)
        question = Question(
            _visible(parse(request.query), asked.accounts),
            -TIME_MAX_S if request.start_time is None else int(-(-request.start_time // 1)),
            TIME_MAX_S - 1 if request.end_time is None else int(request.end_time // 1),
            after,
        )
        searcher = self._searcher(reads_max(question.condition))
        events: list[Event] = []
        size, last = 0, None
        for hit in searcher.newest(question, request.max_results + 1):
            size += len(hit.event.data)
            if len(events) == request.max_results or (events and size > PAGE_BYTES_MAX):
                return events, self._token(parameters, last)
            events.append(hit.event)
            last = hit.key()
        if searcher.damage is not None:
            raise searcher.damage
        reached = searcher.reached
        return events, self._token(parameters, reached) if reached else None

    def _hints(self, asked: Asked, request: SearchRequest) -> list[str]:
        """Return what the query may have misspelt, by the events only that the caller may see."""
        visible = _visible(Everything(), asked.accounts)
        condition, most = parse(request.query), LOOKED_AT_FOR_PROGRAMS
        found = hints(self._searcher(READS_MAX), condition, visible, most=most)
        return [hint.text for hint in found]

    def _token(self, parameters: bytes, place: tuple[int, int] | None) -> str | None:
        return None if place is None else seal(self._token_key, parameters, place)


def reads_max(condition: Condition) -> int:
    """Return how many records a page looks at, by what each takes."""
    return READS_MAX * CONDITIONS_FEW // max(CONDITIONS_FEW, size_of(condition))


def _decoded(body: bytes) -> SearchRequest:
    try:
        request = _request(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise ClientError("SerializationException", str(wrong)) from None
    except RecursionError:
        raise ClientError("SerializationException", "The JSON is nested too deeply.") from None
    if not 1 <= request.max_results <= RESULTS_MAX:
        message = f"maxResults is from 1 to {RESULTS_MAX}."
        raise ClientError("InvalidMaxResultsException", message)
    start_s, end_s = request.start_time, request.end_time
    for name, time_s in (("startTime", start_s), ("endTime", end_s)):
        if time_s is not None and not FIRST_S <= time_s < LAST_S + 1:
            message = f"{name} is in epoch seconds, of the years 1 to 9999."
            raise ClientError("InvalidTimeRangeException", message)
    if start_s is not None and end_s is not None and start_s > end_s:
        raise ClientError("InvalidTimeRangeException", "startTime is after endTime.")
    return request


def _visible(condition: Condition, accounts: tuple[str, ...]) -> Condition:
    """Return ``condition``, of the events of ``accounts`` only."""
    if not accounts:
        return condition
    return all_of([any_of([Is("Account", account) for account in accounts]), condition])


def _error(error: ClientError) -> ApiResponse:
    body = msgspec.json.encode({"__type": error.code, "message": error.message})
    headers = [
        (b"content-type", b"application/json"),
        (b"x-amzn-errortype", error.code.encode()),
    ]
    return ApiResponse(error.status, headers, body)
