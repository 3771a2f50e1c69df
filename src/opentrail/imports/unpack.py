# SPDX-License-Identifier: Apache-2.0
"""From what a file holds to records, each with the very bytes that it has there. Pure.

Taken are CloudTrail's log files (``{"Records": […]}``), records and lists of them, any number of JSON
values behind each other or one a line, and what records travel in (``wrapped``).
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from opentrail.errors import Corrupt
from opentrail.event import codec
from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.event.parts import elements, is_json, members
from opentrail.imports import wrapped
from opentrail.imports.split import NEXT, NoRecord, Split, Unread, Value, torn, values
from opentrail.imports.ungzip import NotReadable
from opentrail.imports.window import whole_values

Found = bytes | Unread | NoRecord


class _LogFile(msgspec.Struct):
    records: list[msgspec.Raw] = msgspec.field(name="Records")


_log_file = msgspec.json.Decoder(_LogFile).decode
_FRAME = b'{"Records":[]}'
_NOT_UTF_8 = "the text is not UTF-8"
_DAMAGED = "not JSON: records in it may not have been found"


def plain_records(data: bytes) -> list[bytes] | None:
    """Return the records of a log file as CloudTrail makes them; None when it is any other file.

    A fast way for what nearly every file is; an element may be no JSON object.
    """
    if b"\n" in data or b"\r" in data or not data.startswith(_FRAME[:-2]):
        return None
    try:
        found = _log_file(data).records
    except codec.UNREADABLE:
        return None
    records = list(map(bytes, found))
    sizes = list(map(len, records))
    # What else there is must not hide records: a second "Records" would replace the first.
    exact = sum(sizes) + max(len(sizes) - 1, 0) + len(_FRAME) == len(data)
    if not exact or max(sizes, default=0) > RECORD_BYTES_MAX:
        return None
    # What a function gets of a queue or a stream is a list of the same name.
    return records if not records or wrapped.is_record(records[0]) else None


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BARE = {b"{\0": "utf-16-le", b"[\0": "utf-16-le", b"\0{": "utf-16-be", b"\0[": "utf-16-be"}
"""How JSON begins in UTF-16 without a mark: Windows PowerShell writes it."""


def records_of(data: bytes) -> Iterator[Found]:
    """Yield every record of an unpacked file, and what is none. Nothing is dropped unsaid."""
    encoding = encoding_of(data)
    if not encoding:
        text = data.removeprefix(codecs.BOM_UTF8)
        yield from opened(whole_values(text, len(data) - len(text)))
        return
    decoder = Decoder(encoding)
    last: Found = b""
    try:
        for last in opened(whole_values(decoder.utf8(data), 0)):
            yield last
        decoder.end()
    except NotReadable as error:
        if not isinstance(last, Unread):  # else the same has been said
            yield Unread(len(data), str(error))


def encoding_of(data: bytes) -> str:
    """Return which encoding a file has that begins with ``data``; "": UTF-8."""
    marked = (encoding for mark, encoding in _MARKS if data.startswith(mark))
    return next(marked, _BARE.get(data[:2], ""))


class Decoder:
    """Makes UTF-8 of another encoding, a piece at a time."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        # Half a character is an escape then, which says the same in JSON.
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")

    def utf8(self, piece: bytes) -> bytes:
        """Return the next piece in UTF-8. Raises: NotReadable."""
        try:
            return self._decoder.decode(piece).encode("utf-8", "backslashreplace")
        except UnicodeDecodeError as error:
            why = f"not the {self._encoding} that it seems to be: {error.reason}"
            raise NotReadable(why) from error

    def end(self) -> None:
        """Raise NotReadable if the last character is cut in two."""
        if self._decoder.getstate()[0]:
            raise NotReadable(f"its {self._encoding} ends within a character")


def opened(found: Iterable[Split]) -> Iterator[Found]:
    """Yield the records that are in what was ``found``, and what has none."""
    return chain.from_iterable(_or_itself(each, _carried(each)) for each in found)


def _or_itself(value: Split, carried: Iterable[Found] | None) -> Iterable[Found]:
    if carried is not None:
        return carried
    return (_elsewhere(value) or _itself(value)) if isinstance(value, Value) else _itself(value)


def _elsewhere(value: Split) -> list[Found]:
    """Return the records that are in ``value`` under names that nobody knows: what surely are some.

    Whatever wraps them then (a test's ``expected``, a column of a query) is said to be none by nobody. But
    where it is damaged, records may be hidden by that, and it is said.
    """
    if not isinstance(value, Value):
        return [value]
    found = _strewn(value)
    said = not found or any(isinstance(each, Unread) for each in found)
    return found if said or is_json(value.data) else [*found, Unread(value.position, _DAMAGED)]


def _strewn(value: Value) -> list[Found]:
    if not value.layers or wrapped.VERSION not in value.data:
        return []
    if value.data.startswith(b"{"):
        return _in_members(value)
    if value.data.startswith(b"["):
        return _in_elements([value.inside(*each, listed=True) for each in elements(value.data)])
    text = wrapped.text_of("", value.data) if value.data.startswith(b'"') else b""
    if text is None:
        return [Unread(value.position, _NOT_UTF_8)]
    there = values(text, 0, value.layers)
    return _at(value.position, (each for part in there for each in _elsewhere(part)))


def _in_elements(there: list[Value]) -> list[Found]:
    """Return the records that are in the elements of a list.

    An element without one is itself unread if it looks like one that has some.
    """
    inside = list(map(_strewn, there))
    if all(inside) or not any(inside):
        return list(chain.from_iterable(inside))
    names = [_names(each.data) for each in there]
    alike = set().union(*(each for each, found in zip(names, inside, strict=True) if found))
    found: list[Found] = []
    for element, has, inner in zip(there, names, inside, strict=True):
        found += _itself(element) if not inner and has & alike else inner
    return found


def _names(data: bytes) -> set[str]:
    """Return by what an element looks like another: the names of its members; of a text, that it is one."""
    if data.startswith(b'"') and wrapped.VERSION in data:
        return {""}
    return {name for name, _ in members(data)} if data.startswith(b"{") else set()


def _in_members(value: Value) -> list[Found]:
    """Return the records that are in the members of ``value``, or itself, if it is one."""
    parts = members(value.data)
    names = {name for name, _ in parts}
    if wrapped.VERSION.decode() in names and wrapped.is_meant(names):
        return list(_itself(value))
    inside = [(name, _strewn(value.inside(*part))) for name, part in parts]
    there = {name for name, each in inside if each}
    known = there & wrapped.CARRIERS or there
    return [
        found
        for name, each in inside
        if name in known and wrapped.COPIES.get(name) not in known
        for found in each
    ]


def _at(position: int, found: Iterable[Found]) -> list[Found]:
    """Return what was ``found`` in a text; what is unread there is where the text is."""
    return [Unread(position, each.reason) if isinstance(each, Unread) else each for each in found]


def _carried(value: Split, name: str = "") -> Iterable[Found] | None:
    """Return what ``value`` has for records; None: it is no list, no record, and wraps none.

    ``name``: of the member that it is.
    """
    if not isinstance(value, Value) or wrapped.is_record(value.data):
        return _itself(value)
    if not value.layers:
        return None
    if value.data.startswith(b'"'):
        return _in_text(value, name)
    if value.data.startswith(b"["):
        return opened(value.inside(*each, listed=True) for each in elements(value.data))
    return _wrapped(value) if value.data.startswith(b"{") else None


def _wrapped(value: Value) -> Iterable[Found] | None:
    """Return what the object ``value`` has for records; None: nothing."""
    parts = members(value.data)
    if wrapped.is_beside(parts):
        return (NoRecord(value.position),)
    if wrapped.is_meant(name for name, _ in parts):
        return _itself(value)  # it is not JSON, else it were a record
    carriers = [each for each in parts if each[0] in wrapped.CARRIERS]
    inside = [(name, _carried(value.inside(*part), name)) for name, part in carriers]
    there = {name for name, each in inside if each is not None}
    found = [
        each for name, each in inside if each is not None and wrapped.COPIES.get(name) not in there
    ]
    if not found:
        return None
    rest = chain.from_iterable(found)
    first = next(rest, None)
    return _elsewhere(value) if first is None else chain((first,), rest)


def _in_text(value: Value, name: str) -> Iterable[Found] | None:
    """Return what the text ``value`` has for records, if anything."""
    text = wrapped.text_of(name, value.data)
    if text is None:
        return (Unread(value.position, _NOT_UTF_8),)
    there = list(values(text, 0, value.layers))
    carried = list(map(_carried, there))
    if all(each is None for each in carried):
        return None
    return _at(value.position, chain.from_iterable(map(_or_itself, there, carried)))


def _itself(value: Split) -> Iterable[Found]:
    """Return ``value`` as a record, on one line, unless it can be none."""
    if not isinstance(value, Value):
        return (value,)
    data, wrong = value.data, ""
    try:
        wrong = "" if data.startswith(b"{") else "not a JSON object"
        wrong = wrong or wrapped.other_event(codec.fields(data))
        data = codec.minify(data)
    except Corrupt as error:
        wrong = wrong or error.message
    if not wrong and len(data) > RECORD_BYTES_MAX:
        wrong = f"larger than a record can be ({RECORD_BYTES_MAX} bytes)"
    if not wrong:
        return (data,)
    others = opened(torn(value)) if value.listed and _is_torn(data) else ()
    return chain((Unread(value.position, wrong),), others)


def _is_torn(data: bytes) -> bool:
    """Whether an element of a list does not end where it seems to: a quote is lost, or a bracket."""
    if NEXT.search(data) is None:
        return False
    try:
        json.loads(data.decode("utf-8", "replace"), strict=False, parse_int=str)
    except RecursionError:
        return False
    except ValueError:
        return True
    return False
