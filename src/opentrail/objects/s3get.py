# SPDX-License-Identifier: Apache-2.0
"""GetObject many times over, and ListObjectsV2, without botocore's weight.

botocore takes a third of a second to begin, and two milliseconds of a core for a call; who reads ten
thousand small objects waits for that and not for the bucket. What is not answered with 200 is left to
botocore, which knows redirects, retries and errors. Amazon S3 API Reference, "GetObject",
"ListObjectsV2".
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_plus
from xml.parsers import expat

from opentrail.clock import Clock
from opentrail.objects.names import OBJECT_BYTES_MAX
from opentrail.objects.s3ask import Answer, S3Ask, Where

MISSES_MAX = 5
"""In a row: then it is not that objects are missing; another way must be taken to this endpoint."""
PAGE_BYTES_MAX = 16 * 1024 * 1024
"""A thousand keys of a kilobyte, each byte encoded, with as much around them."""
_OK = 200
_META = b"x-amz-meta-"
_ETAG = b"etag"


class S3Get:
    """Reads objects of one bucket, path-style. Safe from several threads."""

    def __init__(self, where: Where, bucket: str, clock: Clock) -> None:
        self._endpoint = S3Ask(where, clock)
        self._bucket = bucket
        self._misses = 0

    def get(self, key: str) -> tuple[Mapping[str, str], bytes] | None:
        """Return an object's metadata and bytes; None: ask botocore."""
        answer = self._ask(key, "", OBJECT_BYTES_MAX)
        if answer is None or not any(name == _ETAG for name, _ in answer.headers):
            return None  # without one it is a page of whatever stands before the S3, and no object
        metadata = {
            name.removeprefix(_META).decode("latin-1"): value.decode("latin-1")
            for name, value in answer.headers
            if name.startswith(_META)
        }
        return metadata, answer.body

    def page(self, prefix: str, after: str) -> tuple[list[str], bool] | None:
        """Return the next keys behind ``after``, and whether there are more; None: ask botocore."""
        asked = {"encoding-type": "url", "list-type": "2", "prefix": prefix}
        if after:
            asked["start-after"] = after
        try:
            query = "&".join(f"{name}={quote(value, safe='~')}" for name, value in asked.items())
        except UnicodeEncodeError:
            return None
        answer = self._ask("", query, PAGE_BYTES_MAX)
        found = None if answer is None else _read_page(answer.body)
        return None if found and found[0] and found[0][0] <= after else found

    def _ask(self, key: str, query: str, bytes_max: int) -> Answer | None:
        if self._misses >= MISSES_MAX:
            return None
        try:
            path = f"/{self._bucket}" + (f"/{quote(key, safe='/~')}" if key else "")
        except UnicodeEncodeError:
            return None
        answer = self._endpoint.ask(path, query, bytes_max)
        if answer is None or answer.status != _OK:
            self._misses += 1
            return None
        self._misses = 0
        return answer

    def close(self) -> None:
        """Let go of all connections; the next call makes another."""
        self._endpoint.close()


@dataclass(slots=True)
class _Listing:
    """What a ListBucketResult says, while it is read."""

    keys: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    """What stands in it directly."""
    path: list[str] = field(default_factory=list)
    text: str = ""

    def start(self, name: str, _attributes: object) -> None:
        self.path.append(name)
        self.text = ""

    def add(self, text: str) -> None:
        self.text += text

    def end(self, _name: str) -> None:
        match self.path:
            case ["ListBucketResult", "Contents", "Key"]:
                self.keys.append(unquote_plus(self.text, errors="strict"))
            case ["ListBucketResult", name]:
                self.said[name] = self.text
        self.path.pop()


def _read_page(body: bytes) -> tuple[list[str], bool] | None:
    """Return the keys of a page and whether there are more; None: it is not what S3 answers."""
    listing = _Listing()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = listing.start
    parser.EndElementHandler = listing.end
    parser.CharacterDataHandler = listing.add
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.ParseFile(io.BytesIO(body))
    except (expat.ExpatError, ValueError):
        return None
    said, keys = listing.said, listing.keys
    more = {"true": True, "false": False}.get(said.get("IsTruncated", ""))
    whole = said.get("EncodingType") == "url" and said.get("KeyCount") == str(len(keys))
    if more is None or not whole or (more and not keys) or sorted(keys) != keys:
        return None
    return keys, more


def _refuse(*_: object) -> None:
    """Refuse a document type, and so entities."""
    raise ValueError
