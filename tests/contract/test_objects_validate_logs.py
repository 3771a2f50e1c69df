# SPDX-License-Identifier: Apache-2.0
"""The real `aws cloudtrail validate-logs` over a directory bucket, beside our own verdict.

Where the CLI says invalid we do too; where we say more, the test says what.
"""

import gzip

import pytest
from support.aws_clients import aws
from support.s3_server import ACCOUNT, READER, door, serving
from support.signed_bucket import HOUR, START, TRAIL, SignedBucket, Signer, when
from support.verified_world import overall

from opentrail.verification.examine import Examiner
from opentrail.verification.inbucket import InBucket
from opentrail.verification.survey import Asked, survey
from opentrail.verification.verdict import COVERED, KeyRing, KnownKey, Verdict
from opentrail.verification.verify import Expected, Files, verify
from opentrail.verification.workers import Here

SIGNER = Signer()
HOURS = 3


@pytest.fixture
def world(tmp_path):
    opened, table = door(tmp_path / "buckets")
    trail = SignedBucket(table.find("logs"), SIGNER, prefix="deep/er/")
    trail.chain(START, HOURS)
    SignedBucket(table.find("logs"), SIGNER, trail="second", prefix="deep/er/").chain(START + 60, 1)
    with serving(opened, SIGNER.listed()) as url:
        yield trail, url, tmp_path


def by_cli(world):
    """Return the CLI's exit code and output."""
    _, url, home = world
    done = aws(
        "cloudtrail", "validate-logs", "--trail-arn",
        f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/{TRAIL}", "--s3-bucket", "logs",
        "--s3-prefix", "deep/er", "--start-time", when(START - 60),
        "--end-time", when(START + HOURS * HOUR), "--verbose",
        endpoint=url, key=READER, home=home,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def by_us(world, unlisted=None):
    """Return our verdict and all reasons."""
    trail, _, _ = world
    asked = Asked(bucket="logs", prefix="deep/er", account=ACCOUNT, trail=TRAIL)
    source, ring = (
        InBucket("logs", lambda: trail.bucket),
        KeyRing.of([KnownKey(SIGNER.der)], complete=True),
    )
    examiner = Examiner(source, lambda _: None, ring, "logs")
    files = Files(examiner, Here(examiner), survey(source, asked))
    now_s, sought = unlisted or START + 100 * HOUR, unlisted is not None
    findings = list(verify(files, Expected(), asked, now_s, unlisted=sought))
    reasons = {each.reason for each in findings if each.reason and each.kind != COVERED}
    return overall(findings), reasons


def path(world, key):
    return world[2] / "buckets" / "logs" / key


def test_both_find_an_untouched_bucket_valid(world):
    code, output = by_cli(world)
    assert code == 0, output
    assert f"{HOURS + 1}/{HOURS + 1} digest files valid" in output
    assert f"{2 * HOURS}/{2 * HOURS} log files valid" in output
    assert by_us(world, START + 100 * HOUR) == (Verdict.VALID, set())


def change_log(world):
    path(world, world[0].logs[0]).write_bytes(gzip.compress(b"{}"))


def remove_log(world):
    path(world, world[0].logs[0]).unlink()


def change_digest(world):
    key = world[0].digests[1]
    data = gzip.decompress(path(world, key).read_bytes())
    path(world, key).write_bytes(gzip.compress(data.replace(b"SHA-256", b"SHA-257")))


def remove_digest(world):
    path(world, world[0].digests[1]).unlink()


def append_to_log(world):
    key = world[0].logs[0]
    path(world, key).write_bytes(path(world, key).read_bytes() + b"more")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (change_log, "hash value doesn't match"),
        (remove_log, "not found"),
        (remove_digest, "not found"),
    ],
)
def test_both_find_the_harm_and_say_the_same(world, harm, said):
    harm(world)
    code, output = by_cli(world)
    assert (code, said in output) == (1, True), output
    verdict, reasons = by_us(world)
    assert (verdict, said in reasons) == (Verdict.INVALID, True)


def test_a_changed_digest(world):
    change_digest(world)
    code, output = by_cli(world)
    assert code == 1
    assert "signature verification failed" in output
    verdict, reasons = by_us(world)
    assert verdict is Verdict.INVALID
    assert "is not the one that the digest after it names" in reasons


def remove_newest(world):
    for key in world[0].digests[-2:]:
        path(world, key).unlink()


def add_log(world):
    world[0].log(START + 900)


@pytest.mark.parametrize(
    ("harm", "verdict"),
    [(remove_newest, Verdict.UNKNOWN), (add_log, Verdict.INVALID)],
)
def test_what_the_cli_does_not_see(world, harm, verdict):
    harm(world)
    code, output = by_cli(world)
    assert code == 0, output
    assert by_us(world, START + 100 * HOUR)[0] is verdict
