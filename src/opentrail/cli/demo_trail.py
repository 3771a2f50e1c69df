# SPDX-License-Identifier: Apache-2.0
"""The demo's trail: made before the calls and stopped after them, then held against the log."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from opentrail.cli.demo_calls import Callers
from opentrail.cli.demo_find import Found, Record
from opentrail.cli.demo_steps import FEATURE_STORE
from opentrail.cli.demo_validate import Validated, validate_logs
from opentrail.cli.demo_world import BUCKET, World
from opentrail.clock import Clock, iso_seconds
from opentrail.errors import Unavailable
from opentrail.eventlog.reader import SegmentReader

TRAIL = "demo"
DELIVERED_S_MAX = 20.0
"""How long the last digest is waited for: it is due at once when the trail stops."""
LOOK_AGAIN_S = 0.2
"""Between two listings of the bucket; each is a call that is recorded."""
MARGIN_MS = 60_000
"""Added to both ends of the time that is validated: digests are named by the second."""
PROBLEMS_SHOWN_MAX = 10
"""Of events that are in the wrong number of files."""

_FEATURE_GROUP = "AWS::SageMaker::FeatureGroup"
_SELECTORS = [
    {
        "Name": "Management events",
        "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}],
    },
    {
        "Name": "Records of feature groups",
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": [_FEATURE_GROUP]},
        ],
    },
]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of the trail."""

    trail_arn: str
    selected: int
    """Events in the log that the trail had to deliver."""
    files: dict[str, list[Record]]
    """Key of each log file -> its records; by time."""
    digests: list[str]
    """Their keys, by time."""
    validated: Validated
    problems: tuple[str, ...]
    """What is not as it must be; empty: all is well."""

    @property
    def records(self) -> int:
        """How many records all files have."""
        return sum(map(len, self.files.values()))

    @property
    def all_good(self) -> bool:
        """Whether there were files and digests, and nothing wrong with them."""
        return bool(self.files and self.digests) and not self.problems


class DemoTrail:
    """One trail in one bucket, kept by the administrator."""

    def __init__(self, callers: Callers, here: World, clock: Clock) -> None:
        """Make nothing yet."""
        self._callers = callers
        self._here = here
        self._clock = clock
        self._log = SegmentReader(here.settings.data_dir / "log")
        self._logs_from = 0
        self._arn = ""

    def start(self) -> None:
        """Make the bucket and the trail, and let it log. Raises: Unavailable: a call was refused."""
        if not self._here.settings.buckets:  # else it is a directory, and there
            self._callers.ask("s3", "CreateBucket", Bucket=BUCKET)
        made = self._callers.ask(
            "cloudtrail",
            "CreateTrail",
            Name=TRAIL,
            S3BucketName=BUCKET,
            EnableLogFileValidation=True,
        )
        self._arn = str(made["TrailARN"])
        self._callers.ask(
            "cloudtrail", "PutEventSelectors", TrailName=TRAIL, AdvancedEventSelectors=_SELECTORS
        )
        self._logs_from = self._log.durable_end()
        self._callers.ask("cloudtrail", "StartLogging", Name=TRAIL)

    def stop(self, found: Iterable[Found]) -> Delivered:
        """Let the trail end, and return what it delivered; ``found`` are the demo's calls.

            1. StopLogging                  (what was logged so far is delivered and signed then)
            2. wait for the last digest     (whose files were put before it)
            3. read the files, and hold them against the log and the calls
            4. let the AWS CLI validate them

        Raises: Unavailable: a call was refused, or the AWS CLI does not end.
        """
        self._callers.ask("cloudtrail", "StopLogging", Name=TRAIL)
        status = self._callers.ask("cloudtrail", "GetTrailStatus", Name=TRAIL)
        started_ms, stopped_ms = _ms(status["StartLoggingTime"]), _ms(status["StopLoggingTime"])
        keys = self._wait(stopped_ms)
        digests = [key for key in keys if _is_digest(key)]
        files = {key: self._records(key) for key in keys if not _is_digest(key)}
        selected = [event for event in self._logged() if _is_selected(event)]
        validated = validate_logs(
            self._arn,
            iso_seconds(started_ms - MARGIN_MS),
            iso_seconds(stopped_ms + MARGIN_MS),
            self._here.client_settings(),
        )
        problems = [
            *misplaced(selected, found, files),
            *validated.problems(len(digests), len(files)),
        ]
        files = _in_log_order(files, selected)
        return Delivered(self._arn, len(selected), files, digests, validated, tuple(problems))

    def _wait(self, stopped_ms: int) -> list[str]:
        """Return all keys, digests by time, once the digest of the end is there. Raises: Unavailable."""
        deadline = self._clock.monotonic() + DELIVERED_S_MAX
        while self._clock.monotonic() < deadline:
            keys = self._keys()
            # The last window ends behind the second of StopLogging, and only that one.
            if any(_is_digest(key) and _digest_end(key) > _compact(stopped_ms) for key in keys):
                return keys
            self._here.server.pause(LOOK_AGAIN_S)
        status = self._callers.ask("cloudtrail", "GetTrailStatus", Name=TRAIL)
        errors = [status.get(f"Latest{of}DeliveryError", "") for of in ("", "Digest")]
        said = ", ".join(filter(None, map(str, errors))) or "no error"
        raise Unavailable(f"no last digest within {DELIVERED_S_MAX:g} s; its status: {said}")

    def _keys(self) -> list[str]:
        """Return the keys of files and digests, sorted: a digest's name ends with its time."""
        listed = self._callers.ask("s3", "ListObjectsV2", Bucket=BUCKET, Prefix="AWSLogs/")
        assert not listed["IsTruncated"], "a page has 1,000 keys, and the demo some dozens"
        contents = listed.get("Contents", [])
        assert isinstance(contents, list)
        # CreateTrail puts an empty object, to see whether it may.
        return sorted(each["Key"] for each in contents if each["Size"])

    def _records(self, key: str) -> list[Record]:
        body = self._callers.ask("s3", "GetObject", Bucket=BUCKET, Key=key)["Body"]
        records: list[Record] = json.loads(gzip.decompress(body.read()))["Records"]
        return records

    def _logged(self) -> Iterator[Record]:
        """Yield what the log has from StartLogging on until StopLogging, which ends the trail."""
        for entry in self._log.entries(self._logs_from):
            event: Record = json.loads(entry.data)
            if event["eventName"] == "StopLogging":
                return
            yield event


def _is_selected(event: Record) -> bool:
    """Whether the trail's selectors take an event, by a rule that is not the evaluator's."""
    resources = event.get("resources") or []
    assert isinstance(resources, list)
    return event["eventCategory"] == "Management" or any(
        resource.get("type") == _FEATURE_GROUP for resource in resources
    )


def _in_log_order(
    files: dict[str, list[Record]], selected: list[Record]
) -> dict[str, list[Record]]:
    """Return the files, the oldest first: by their names, those of a minute have no order."""
    places = {event["eventID"]: place for place, event in enumerate(selected)}
    by_place = sorted(files, key=lambda key: places.get(files[key][0]["eventID"], len(places)))
    return {key: files[key] for key in by_place}


def misplaced(
    selected: list[Record], found: Iterable[Found], files: dict[str, list[Record]]
) -> Iterator[str]:
    """Say which events are not in just the files that they belong in.

    ``selected``: what the log says must be delivered; ``found``: the demo's calls, which must agree.
    """
    delivered = [record for records in files.values() for record in records]
    counts = Counter(record["eventID"] for record in delivered)
    wanted = {event["eventID"]: event for event in selected}
    wrong = [
        f"{event['eventName']} {event_id} is in the log files {counts[event_id]} times"
        for event_id, event in wanted.items()
        if counts[event_id] != 1
    ]
    wrong += [
        f"{record['eventName']} {record['eventID']} is not what was selected"
        for record in delivered
        if wanted.get(record["eventID"]) != record
    ]
    for call in found:
        step = call.made.step
        belongs = not step.data or step.service == FEATURE_STORE
        if call.event and (counts[call.event["eventID"]] == 1) is not belongs:
            wrong.append(f"{step.operation} must {'' if belongs else 'not '}be in a log file")
    yield from wrong[:PROBLEMS_SHOWN_MAX]


def _is_digest(key: str) -> bool:
    return "/CloudTrail-Digest/" in key


def _digest_end(key: str) -> str:
    """Return the end of a digest's window as its name has it: "20260131T101500Z"."""
    return key.rpartition("_")[2].partition(".")[0]


def _compact(epoch_ms: int) -> str:
    return iso_seconds(epoch_ms).replace("-", "").replace(":", "")


def _ms(when: object) -> int:
    """Return boto3's time in milliseconds."""
    assert isinstance(when, datetime)
    return round(when.timestamp() * 1000)
