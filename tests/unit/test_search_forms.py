# SPDX-License-Identifier: Apache-2.0
"""Events as rows and files: nothing that a spreadsheet or a terminal acts on, and bounded downloads."""

import csv
import io
import json
import sys

import pyarrow.parquet as pq
import pytest
from support.log_files import HandClock

from opentrail.errors import ClientError
from opentrail.history import parquet
from opentrail.history.derive import derive
from opentrail.history.fields import Event
from opentrail.history.parquet import parquet_stream
from opentrail.history.rows import HEADER, as_csv, cells_of, table_row
from opentrail.wire import search_forms
from opentrail.wire.search_forms import FORMS, ParquetDownloads

HOSTILE = (
    "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1", "a\x1b[31m", "a\x9b31m",
    "a\u202eb\u2066c\u200f", "a\x00b", 'a","b', "a\r\nb",
)  # fmt: skip


def event(agent: str, number: int = 0) -> Event:
    fields = {
        "eventTime": "2026-01-31T10:00:00Z",
        "eventName": agent,
        "eventID": str(number),
        "userAgent": agent,
    }
    data = json.dumps(fields).encode()
    derived = derive(data)
    assert derived is not None
    return Event(data, derived)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_calculated_or_acted_on(text: str):
    one = event(text)
    ((*_,), cells) = csv.reader(
        io.StringIO(as_csv([HEADER, cells_of(one.data, one.derived)]).decode())
    )
    for cell in cells:
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))
        assert cell.isprintable()
    assert len(cells) == len(HEADER)
    assert all(cell.isprintable() for cell in table_row(one))
    assert FORMS["table"].render is not None
    assert FORMS["table"].render([one]).decode().count("\n") == 1


def test_a_record_is_the_last_cell_as_it_is():
    one = event("curl/8")
    assert cells_of(one.data, one.derived)[-1].encode() == one.data
    assert cells_of(b"no event \xff", None) == [*[""] * (len(HEADER) - 1), "no event \ufffd"]


@pytest.mark.parametrize("text", ["a\u00a0b", "\u202e\x7f\x9b", "\U000e0001", "e\u0301 \u2028"])
def test_a_record_in_csv_is_json_that_says_the_same(text: str):
    data = json.dumps({"eventTime": "2026-01-31T10:00:00Z", "userAgent": text}, ensure_ascii=False)
    written = as_csv([cells_of(data.encode(), derive(data.encode()))]).decode()
    assert written.strip().isprintable()
    ((*_, record),) = csv.reader([written])
    assert json.loads(record) == json.loads(data)


def test_a_record_that_is_not_utf_8_makes_no_document_unreadable():
    data = event("x").data.replace(b'"x"', b'"x\xff"')
    derived = derive(data)
    assert derived is not None
    odd, plain = Event(data, derived), event("caf\u00e9")
    for form in ("json", "records"):
        render = FORMS[form].render
        assert render is not None
        text = (b"[" + render([odd, plain]) + b"]").decode()
        assert [each["userAgent"] for each in json.loads(text)] == ["x\ufffd", "caf\u00e9"]
    assert FORMS["ndjson"].render is not None
    assert FORMS["ndjson"].render([odd, plain]).splitlines() == [odd.data, plain.data]


@pytest.mark.parametrize("text", ["x;=1+1;", "x; +1", 'x;"=1+1;"', "x;\uff1d1", "x;@a;-b", ";;=1"])
def test_nothing_is_calculated_where_semicolons_part_cells_either(text: str):
    one = event(text)
    written = as_csv([cells_of(one.data, one.derived)]).decode()
    for cell in written.split(";"):
        assert not cell.strip().strip('"').startswith(("=", "+", "-", "@", "\uff1d"))
    for row in csv.reader([written], delimiter=";"):
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d")) for cell in row)
    ((*_, record),) = csv.reader([written])
    assert json.loads(record) == json.loads(one.data)


def test_half_a_character_is_replaced_in_columns_and_kept_in_the_record():
    data = event("x").data.replace(b'"x"', b'"x\\ud83dy"')
    derived = derive(data)
    assert derived is not None
    cells = cells_of(data, derived)
    stream = parquet_stream(HEADER, 1)
    file = pq.ParquetFile(io.BytesIO(stream.add([cells]) + stream.end())).read()
    assert file.column("eventName").to_pylist() == ["x\ufffdy"]
    assert file.column("userAgent").to_pylist() == ["x\ufffdy"]
    assert file.column("record").to_pylist() == [data.decode()]
    assert [row[-1].encode() for row in csv.reader([as_csv([cells]).decode()])] == [data]


class TestParquetDownloads:
    def test_a_file_is_made_page_by_page(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(search_forms, "GROUP_ROWS", 4)
        downloads = ParquetDownloads(HandClock(0))
        pieces = [
            downloads.add(
                "d", [event("a", n) for n in range(at, at + 3)], first=at == 0, last=at == 9
            )
            for at in (0, 3, 6, 9)
        ]
        file = pq.ParquetFile(io.BytesIO(b"".join(pieces)))
        assert file.read().column("eventID").to_pylist() == [str(n) for n in range(12)]
        assert file.num_row_groups == 2
        assert file.schema_arrow.names == HEADER

    def test_large_records_do_not_wait_in_memory_for_a_full_row_group(
        self, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(parquet, "GROUP_CHARACTERS_MAX", 1_000_000)
        downloads = ParquetDownloads(HandClock(0))
        pieces = [
            downloads.add("d", [event("a" * 200_000)], first=at == 0, last=at == 9)
            for at in range(10)
        ]
        file = pq.ParquetFile(io.BytesIO(b"".join(pieces)))
        groups = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
        assert sum(groups) == 10
        assert max(groups) <= 5

    def test_an_empty_one_is_a_file_too(self):
        data = ParquetDownloads(HandClock(0)).add("d", [], first=True, last=True)
        assert pq.ParquetFile(io.BytesIO(data)).read().num_rows == 0

    def test_there_are_so_many_at_once_and_idle_ones_give_way(self):
        clock = HandClock(0)
        downloads = ParquetDownloads(clock)
        for number in range(search_forms.PARQUET_MAX):
            downloads.add(str(number), [], first=True, last=False)
        with pytest.raises(ClientError, match="under way"):
            downloads.add("one more", [], first=True, last=False)
        clock.ms = search_forms.IDLE_MS_MAX
        downloads.add("1", [], first=False, last=False)
        clock.ms += 1
        downloads.add("one more", [], first=True, last=False)
        downloads.add("1", [], first=False, last=True)
        with pytest.raises(ClientError, match="interrupted"):
            downloads.add("0", [], first=False, last=False)

    def test_without_pyarrow_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ClientError, match=r"pip install 'opentrail\[parquet\]'") as error:
            ParquetDownloads(HandClock(0)).add("d", [], first=True, last=False)
        assert error.value.code == "FormatNotAvailable"
