# SPDX-License-Identifier: Apache-2.0
"""The forms in which a search over HTTP is downloaded, a page at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opentrail.clock import Clock
from opentrail.errors import ClientError, UsageError
from opentrail.event.codec import in_utf8
from opentrail.history.fields import Event
from opentrail.history.parquet import ParquetStream, parquet_stream
from opentrail.history.rows import HEADER, as_csv, cells_of, table_row

PARQUET_MAX = 4
"""Parquet files that are being made at once: each holds a row group."""
GROUP_ROWS = 10_000
"""Of a row group: some 15 MB of records in memory."""
IDLE_MS_MAX = 120_000
"""A download that nobody has asked on for so long is given up when room is needed."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form: what comes before, between and after the pages, and what a page's events become."""

    name: str
    media_type: str
    render: Callable[[Sequence[Event]], bytes] | None
    """None: a file that is made as a whole (``ParquetDownloads``)."""
    before: bytes = b""
    between: bytes = b""
    after: bytes = b""

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of an answer in this form."""
        ending = {"records": "json", "table": "txt"}.get(self.name, self.name)
        return [
            (b"content-type", self.media_type.encode()),
            (b"content-disposition", f'attachment; filename="events.{ending}"'.encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]


def _records(events: Sequence[Event]) -> bytes:
    return b",".join(in_utf8(event.data) for event in events)


def _lines(events: Sequence[Event]) -> bytes:
    return b"".join(event.data + b"\n" for event in events)


def _csv(events: Sequence[Event]) -> bytes:
    return as_csv(cells_of(event.data, event.derived) for event in events)


def _table(events: Sequence[Event]) -> bytes:
    return "".join("\t".join(table_row(event)) + "\n" for event in events).encode()


PAGE = Form("json", "application/json", _records)
"""A page, with a token for the next one."""
FORMS = {
    form.name: form
    for form in (
        PAGE,
        Form("ndjson", "application/x-ndjson", _lines),
        Form("records", "application/json", _records, b'{"Records":[', b",", b"]}\n"),
        Form("csv", "text/csv; charset=utf-8", _csv, as_csv([HEADER])),
        Form("table", "text/plain; charset=utf-8", _table),
        Form("parquet", "application/vnd.apache.parquet", None),
    )
}
BY_MEDIA_TYPE = {
    "application/x-ndjson": FORMS["ndjson"],
    "text/csv": FORMS["csv"],
    "application/vnd.apache.parquet": FORMS["parquet"],
}
"""What the Accept header may say instead."""


@dataclass(slots=True)
class _Download:
    stream: ParquetStream
    used_ms: int


class ParquetDownloads:
    """Parquet files that are being made, page by page.

    Safe from several threads, as long as each file is asked for by one at a time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, _Download] = {}

    def add(self, name: str, events: Sequence[Event], *, first: bool, last: bool) -> bytes:
        """Return the next bytes of the file ``name``, with ``events``.

        Raises: ClientError: pyarrow is not there, too many at once, or the file is not known.
        """
        download = self._begun(name) if first else self._open.get(name)
        if download is None:
            raise ClientError("ServiceUnavailable", "The download was interrupted.", 503)
        download.used_ms = self._clock.now_ms()
        rows = [cells_of(event.data, event.derived) for event in events]
        data = download.stream.add(rows)
        if last:
            self.drop(name)
            data += download.stream.end()
        return data

    def drop(self, name: str) -> None:
        """Forget the file ``name``, if there is such a one: its room is free."""
        self._open.pop(name, None)

    def _begun(self, name: str) -> _Download:
        now_ms = self._clock.now_ms()
        if len(self._open) >= PARQUET_MAX:
            for other, download in list(self._open.items()):
                if now_ms - download.used_ms > IDLE_MS_MAX:
                    del self._open[other]
        if len(self._open) >= PARQUET_MAX:
            message = f"{PARQUET_MAX} Parquet downloads are under way; try again."
            raise ClientError("ServiceUnavailable", message, 503)
        try:
            stream = parquet_stream(HEADER, GROUP_ROWS)
        except UsageError as error:
            raise ClientError("FormatNotAvailable", f"On the server, {error}.") from error
        self._open[name] = _Download(stream, now_ms)
        return self._open[name]
