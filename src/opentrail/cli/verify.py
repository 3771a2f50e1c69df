# SPDX-License-Identifier: Apache-2.0
"""``opentrail verify``: check delivered log files and their digests, with or without a server."""

import importlib
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from opentrail.cli.options import Command, data_options, json_option, settings_of
from opentrail.cli.times import seconds_of
from opentrail.cli.verify_log import AgainstLog
from opentrail.cli.verify_show import Result, form_of, watched
from opentrail.cli.verify_target import Opening, Place, Target, target_in, target_of
from opentrail.clock import SystemClock
from opentrail.errors import UsageError
from opentrail.verification.bucketkeys import digest_name
from opentrail.verification.examine import Examiner
from opentrail.verification.receipt import judge, links, made_s, read_receipt, trail_of
from opentrail.verification.survey import END_ANY, Asked, Survey, survey
from opentrail.verification.verdict import NOTE, RECEIPT, Finding, KeyRing, Verdict, read_key_ring
from opentrail.verification.verify import Expected, Files, verify
from opentrail.verification.workers import Growing, Here, Processes, Threads, Workers, can_fork

THREADS_S3, THREADS_MAX = 8, 32
"""For each job at an S3 endpoint, which may be far away and answer late; and of all jobs."""
_file = click.Path(dir_okay=False, path_type=Path)


@click.command("verify", cls=Command)
@data_options
@click.argument("target", required=False)
@click.option("--trail-arn", default="", help="A trail of the server here, as TARGET.")
@click.option(
    "--s3-bucket",
    default="",
    help="Of --trail-arn: where its digests are, if not where it delivers.",
)
@click.option("--s3-prefix", default="", help="Of --s3-bucket: the prefix of its keys.")
@click.option(
    "--account", "--account-id", "account", default="", help="Only files of this account."
)
@click.option("--region", default="", help="Only files of this region.")
@click.option("--trail", default="", help="Only this trail's digests.")
@click.option(
    "--original", "--bucket", "original", default="",
    help="Of a copy, a replica too: what it is one of, s3://BUCKET or s3://BUCKET/PREFIX.",
)  # fmt: skip
@click.option(
    "--start-time", help="Digests from then on: 2026-01-31, 2026-01-31T10:00:00Z or epoch."
)
@click.option("--end-time", help='Digests of the time up to then; "now": they must reach to now.')
@click.option(
    "--public-keys", "keys_file", type=_file, help="What opentrail public-keys export printed."
)
@click.option("--fetch-keys", is_flag=True, help="Ask CloudTrail for public keys too.")
@click.option(
    "--receipt", "receipt_file", type=_file, help="Digests that must be there: receipt export's."
)
@click.option("--endpoint-url", default="", help="S3's endpoint for s3://, CloudTrail's for keys.")
@click.option("--profile", default="", help="AWS profile for an s3:// target and for keys.")
@click.option("--allow-unlisted", is_flag=True, help="Do not look for files that no digest lists.")
@click.option(
    "--against-log", is_flag=True, help="Compare the files with the log of the server here too."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    help="Processes; at S3 eight threads each.  [default: one for each core]",
)
@click.option("--verbose", is_flag=True, help="Show valid files too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "plain", "json"]),
    help="Default: table on a terminal.",
)
@json_option
def command(config: Path | None, **flags: object) -> None:
    """Check delivered log files and their digests.

    Those of a trail, an S3 location or a directory. Exit code 0: all is valid. 1: something is not.
    2: it cannot be told, for example because a key is not known. It finds what the AWS CLI does
    not: missing newest digests, replaced digests, and files that no digest lists. validate-logs is
    another name of it.

      opentrail verify my-trail                          with the keys of the server here
      opentrail verify s3://my-bucket --public-keys keys.json --receipt receipt.json
      opentrail verify ./copy --original s3://my-bucket --public-keys keys.json
      opentrail validate-logs --trail-arn ARN --start-time 2026-01-31 --s3-bucket my-bucket
    """
    given = _Given(**{name: flags[name] for name in _Given.__slots__})  # type: ignore[arg-type]
    settings = settings_of(config, {"data": flags["data"], "listen.address": flags["listen"]})
    clock = SystemClock()
    place = Place(settings, clock, given.endpoint_url, given.profile)
    target = given.target_at(place)
    base = target.opening.base
    target, examiner, found = _with_bucket(target, *_surveyed(target))
    if given.fetch_keys:
        target, examiner = _with_fetched(target, examiner, found, place)
    everything = given.verbose or given.form == "json"
    result = Result(form_of(given.form), verbose=everything, no_keys=not examiner.ring.keys)
    if target.opening.base != base:
        where = f"s3://{target.asked.bucket}/{target.opening.base}"
        result.add(Finding(NOTE, where, Verdict.VALID, "this is a copy of it, the digests say"))
    expected = _with_receipt(target, examiner.ring, given.receipt_file, result)
    with _workers(target, examiner, found, given.jobs) as workers:
        files = Files(examiner, workers, found)
        log = AgainstLog(settings, given.named(), target.asked) if given.against_log else None
        findings = _findings(files, expected, target.asked, log, unlisted=not given.allow_unlisted)
        with watched(findings, found.count) as each:
            for finding in each:
                result.add(finding)
    result.end()
    sys.exit(int(result.tally.verdict))


def _findings(
    files: Files, expected: Expected, asked: Asked, log: AgainstLog | None, *, unlisted: bool
) -> Iterator[Finding]:
    if log is not None:
        yield from log.findings(files)
        expected = log.expected(expected)
    now_s = SystemClock().now_ms() // 1000
    yield from verify(files, expected, asked, now_s, unlisted=unlisted)


@dataclass(frozen=True, slots=True)
class _Given:
    """The flags."""

    target: str | None
    trail_arn: str
    s3_bucket: str
    s3_prefix: str
    account: str
    region: str
    trail: str
    original: str
    start_time: str | None
    end_time: str | None
    keys_file: Path | None
    fetch_keys: bool
    receipt_file: Path | None
    endpoint_url: str
    profile: str
    allow_unlisted: bool
    against_log: bool
    jobs: int | None
    verbose: bool
    form: str | None

    def named(self) -> str:
        """Return what is to be verified. Raises: UsageError: nothing, or two things."""
        if bool(self.target) == bool(self.trail_arn):
            raise UsageError("name one target: a trail, s3://BUCKET or a directory; or --trail-arn")
        if self.s3_prefix and not self.s3_bucket:
            raise UsageError("--s3-prefix is one of a bucket: name that too, --s3-bucket")
        if self.s3_bucket and not self.trail_arn:
            raise UsageError(
                "--s3-bucket is where a trail's digests are: name the trail, --trail-arn"
            )
        return self.target or self.trail_arn

    def target_at(self, place: Place) -> Target:
        """Return what is to be verified, opened. Raises: UsageError. Corrupt. Unavailable."""
        named, keys = self.named(), _keys(self.keys_file)
        if not self.s3_bucket:
            return target_of(named, self.asked(), keys, place)
        location = f"{self.s3_bucket.removeprefix('s3://')}/{self.s3_prefix}"
        return target_in(location, named, self.asked(), keys, place)

    def asked(self) -> Asked:
        """Return what is to be checked. Raises: UsageError: a time is none."""
        end_s = seconds_of(self.end_time, END_ANY)
        start_s = seconds_of(self.start_time, 0)
        if start_s > end_s:
            raise UsageError("--start-time is after --end-time")
        return Asked(
            bucket=self.original,
            account=self.account,
            region=self.region,
            trail=self.trail,
            start_s=math.ceil(start_s),
            end_s=math.floor(end_s),
        )


def _keys(file: Path | None) -> KeyRing | None:
    return None if file is None else read_key_ring(_content(file), str(file))


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error


def _with_bucket(
    target: Target, examiner: Examiner, found: Survey
) -> tuple[Target, Examiner, Survey]:
    """Let a copy be that of what its newest digests name, if nobody said of which.

    Of a part of a bucket the keys here are longer than the paths: it is looked through anew.
    Raises: UsageError. Unavailable.
    """
    if target.asked.bucket:
        return target, examiner, found
    each_says = (examiner.original(names[0].key) for names in found.digests.values())
    said = {original for original in each_says if original is not None}
    said = {original for original in said if not original[1]} or said
    if len(said) != 1:
        return target, examiner, found
    ((bucket, base),) = said
    opening = replace(target.opening, bucket=bucket, base=base)
    target = replace(target, opening=opening, asked=replace(target.asked, bucket=bucket))
    if not base:
        return target, replace(examiner, bucket=bucket), found
    return target, *_surveyed(target)


def _surveyed(target: Target) -> tuple[Examiner, Survey]:
    examiner = target.opening()
    try:
        return examiner, survey(examiner.source, target.asked)
    finally:
        examiner.source.close()  # whoever reads opens it again


def _with_fetched(
    target: Target, examiner: Examiner, found: Survey, place: Place
) -> tuple[Target, Examiner]:
    """Let the keys that CloudTrail lists be known too. Raises: UsageError. Unavailable."""
    fetched = importlib.import_module("opentrail.cli.verify_keys").fetched  # it has botocore
    more = fetched(found, target.asked, place.endpoint, place.profile, place.settings.region)
    ring = KeyRing(more | dict(examiner.ring.keys), complete=False)
    return replace(target, opening=replace(target.opening, ring=ring)), replace(examiner, ring=ring)


def _with_receipt(target: Target, ring: KeyRing, file: Path | None, result: Result) -> Expected:
    """Return what must be there, a receipt's digests too. Raises: UsageError: it is none."""
    expected = target.expected
    if file is None:
        return expected
    receipt, payload = read_receipt(_content(file), str(file))
    name = payload.trail_arn.rpartition("/")[2]
    if target.asked.trail not in ("", name):
        raise UsageError(f"{file} is a receipt of {payload.trail_arn}")
    verdict, reason = judge(receipt, ring)
    listed = links(iter(payload.heads), target.asked.bucket, "the receipt")
    chains = {link: digest_name(link.key) for link in listed}
    named = [link for link, its in chains.items() if its and target.asked.takes(its.chain)]
    if verdict is Verdict.VALID and not named:
        what = "that is verified" if listed else "in this bucket"
        verdict, reason = Verdict.UNKNOWN, f"names no digest {what}: it shows nothing of it"
    result.add(Finding(RECEIPT, f"{payload.trail_arn} {payload.made_time}", verdict, reason))
    if verdict is not Verdict.VALID:
        return expected  # what nobody vouches for is no reason to believe or to doubt a digest
    until_s = max(expected.until_s, made_s(payload))
    trail = trail_of(payload)
    return replace(expected, ends=[*expected.ends, *named], until_s=until_s, trail=trail)


@contextmanager
def _workers(
    target: Target, examiner: Examiner, found: Survey, jobs: int | None
) -> Iterator[Workers]:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    count = jobs or cores or 1
    workers: Workers = Here(examiner)
    if target.opening.directory is None:
        workers = _far(target.opening, examiner, count)
    elif count > 1:
        workers = Growing(Here(examiner), Processes(target.opening, count), found.count)
    try:
        yield workers
    finally:
        workers.close()
        examiner.source.close()


def _far(opening: Opening, examiner: Examiner, count: int) -> Workers:
    """Return who looks at files at an S3 endpoint: threads, and those of several processes if possible.

    Large files are mostly inflated and hashed, which the threads of one process get in each other's way with.
    """
    count = min(count, THREADS_MAX // THREADS_S3)
    if count == 1 or not can_fork():
        return Threads(examiner, count * THREADS_S3)
    processes = Processes(opening, count, THREADS_S3)
    processes.start()
    return processes
