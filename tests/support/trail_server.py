# SPDX-License-Identifier: Apache-2.0
"""Trails of the real server: what the log says they must deliver, and what lies in their bucket.

The log's marks are read here as any other reader would; what is selected each test says itself.
"""

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from support.aws_clients import Key, aws
from support.server import OpenTrail, run, wait_until

from opentrail.eventlog.base import Mark, MarkKind
from opentrail.eventlog.reader import SegmentReader

BUCKET = "audit-logs"
FILE_INTERVAL_S = 1
DIGEST_INTERVAL_S = 2
LATE_S_MAX = 5.0
"""What a delivery may take beside its interval."""
LONG_AGO = "2020-01-01T00:00:00Z"

Takes = Callable[[dict[str, Any]], bool]


def settings(directory: Path) -> str:
    """Return the settings of short intervals and of a bucket that is ``directory``."""
    directory.mkdir()
    return f"""
[delivery]
file_interval_s = {FILE_INTERVAL_S}
digest_interval_s = {DIGEST_INTERVAL_S}

[buckets.{BUCKET}]
directory = {json.dumps(str(directory))}
"""


@dataclass(frozen=True)
class TrailSeen:
    """One trail of a server, kept by ``key``, in a directory bucket."""

    server: OpenTrail
    bucket: Path
    name: str
    takes: Takes
    key: Key

    def call(self, operation: str, **members: Any) -> dict[str, Any]:
        """Call CloudTrail, again while its process is being started."""
        found: list[dict[str, Any]] = []

        def answered() -> bool:
            client = self.server.client("cloudtrail", self.key)
            try:
                found.append(getattr(client, operation)(**members))
            except ClientError as error:
                if error.response["Error"]["Code"] != "ServiceUnavailable":
                    raise
            return bool(found)

        wait_until(answered)
        return found[0]

    def create(self, **members: Any) -> None:
        """Create the trail with validation."""
        self.call(
            "create_trail",
            Name=self.name,
            S3BucketName=BUCKET,
            EnableLogFileValidation=True,
            **members,
        )

    def start(self) -> None:
        """Let it log."""
        self.call("start_logging", Name=self.name)

    def stop(self) -> None:
        """End it, and wait until its last digest is there."""
        self.call("stop_logging", Name=self.name)
        stopped = self.call("get_trail_status", Name=self.name)["StopLoggingTime"]
        second = f"{stopped:%Y%m%dT%H%M%SZ}"
        # Only the last window ends behind the second of StopLogging.
        wait_until(
            lambda: any(_end(path) > second for path in self.digest_paths()),
            seconds_max=FILE_INTERVAL_S + LATE_S_MAX,
        )

    def selected(self) -> Counter[str]:
        """Return the ids of the events that the log says it must deliver."""
        return Counter(event["eventID"] for event in self._while_logging() if self.takes(event))

    def _while_logging(self) -> Iterator[dict[str, Any]]:
        reader = SegmentReader(self.server.data / "log")
        logging = False
        try:
            for item in reader.items(0):
                if not isinstance(item, Mark):
                    if logging:
                        yield json.loads(item.data)
                elif item.kind is MarkKind.CONTROL:
                    trail = json.loads(item.payload)["trail"]
                    if self.arn.endswith(f":{trail['account']}:trail/{trail['name']}"):
                        logging = trail["logging"]
        finally:
            reader.close()

    @property
    def arn(self) -> str:
        """The trail's ARN."""
        arn: str = self.call("get_trail", Name=self.name)["Trail"]["TrailARN"]
        return arn

    def digest_paths(self) -> list[Path]:
        """Return its digests, by time."""
        found = self.bucket.rglob(f"CloudTrail-Digest/*/*/*/*/*_{self.name}_*.json.gz")
        return sorted(found, key=_end)

    def listed(self) -> list[str]:
        """Return the keys of the log files that its digests list."""
        digests = [json.loads(gzip.decompress(p.read_bytes())) for p in self.digest_paths()]
        return [file["s3Object"] for digest in digests for file in digest["logFiles"]]

    def delivered(self) -> Counter[str]:
        """Return the ids of the records in those files."""
        files = [json.loads(gzip.decompress((self.bucket / k).read_bytes())) for k in self.listed()]
        return Counter(record["eventID"] for file in files for record in file["Records"])

    def validate_logs(self, home: Path, *more: str) -> tuple[int, str]:
        """Return exit code and output of the AWS CLI's validation, over all time."""
        command = ["cloudtrail", "validate-logs", "--trail-arn", self.arn]
        command += ["--start-time", LONG_AGO, *more]
        done = aws(*command, endpoint=self.server.endpoint, key=self.key, home=home)
        return done.returncode, done.stdout + done.stderr

    def verify(self, home: Path) -> tuple[int, str]:
        """Return exit code and output of ``opentrail verify``."""
        config = str(self.server.data.with_name(self.server.data.name + ".toml"))
        data = ("--data", str(self.server.data))
        done = run("verify", self.arn, "--config", config, *data, home=home)
        return done.returncode, done.stdout + done.stderr


def log_files(bucket: Path) -> list[str]:
    """Return the keys of all log files in a bucket."""
    found = bucket.rglob("AWSLogs/*/CloudTrail/*/*/*/*/*.json.gz")
    return sorted(str(path.relative_to(bucket)) for path in found)


def contents(bucket: Path) -> dict[str, bytes]:
    """Return all files and digests of a bucket."""
    return {str(p.relative_to(bucket)): p.read_bytes() for p in bucket.rglob("AWSLogs/**/*.gz")}


def check_once(trails: list[TrailSeen]) -> None:
    """Check that each trail delivered what it selects, once, and that no file is anything else."""
    for trail in trails:
        assert trail.delivered() == trail.selected(), trail.name
    listed = sorted(key for trail in trails for key in trail.listed())
    assert listed == log_files(trails[0].bucket)


def check_valid(trail: TrailSeen, home: Path) -> None:
    """Check that the AWS CLI finds every file and digest of a trail, and all of them valid."""
    code, output = trail.validate_logs(home)
    assert code == 0, output
    digests, files = len(trail.digest_paths()), len(trail.listed())
    assert f"{digests}/{digests} digest files valid" in output
    assert f"{files}/{files} log files valid" in output
    assert not re.search("INVALID|missing|backfill", output), output


def _end(path: Path) -> str:
    return path.name.rpartition("_")[2].partition(".")[0]
