# SPDX-License-Identifier: Apache-2.0
"""Receipts, public keys and copies: what an auditor keeps, and can check without the server."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.aws_clients import aws, without_aws
from support.open_buckets import SettableClock
from support.s3_server import READER, door, serving
from support.signed_bucket import ACCOUNT, HOUR, START, TRAIL, SignedBucket, Signer, when
from support.signed_state import IT, LOG_ID, deliver, write_state

from opentrail.cli.main import cli
from opentrail.errors import OpenTrailError, UsageError
from opentrail.objects.localdir import LocalDir

SIGNER = Signer()
END = START + 2 * HOUR


@pytest.fixture
def data(tmp_path, monkeypatch):
    without_aws(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.fixture
def trail(data):
    bucket = LocalDir(data / "buckets" / "logs", "logs", SettableClock())
    found = SignedBucket(bucket, SIGNER)
    found.chain(START, 2)
    return found


@pytest.fixture
def state(data, trail):
    opened = write_state(data, trail)
    yield opened
    opened.close()


@pytest.fixture
def files(data, state, tmp_path):
    """The public keys and the receipt, as files."""
    assert state
    for name, arguments in (
        ("keys.json", ("public-keys", "export")),
        ("receipt.json", ("receipt", "export", TRAIL)),
    ):
        code, output = run(*arguments, "--data", str(data))
        assert code == 0
        (tmp_path / name).write_text(output)
    return "--public-keys", str(tmp_path / "keys.json"), "--receipt", str(tmp_path / "receipt.json")


def run(*arguments):
    result = CliRunner().invoke(cli, arguments)
    if isinstance(result.exception, OpenTrailError):
        raise result.exception
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result.exit_code, result.stdout


def here(data):
    return str(data / "buckets" / "logs")


def test_public_keys_are_told_as_list_public_keys_tells_them(data, state):
    assert state
    code, output = run("public-keys", "export", "--data", str(data))
    (key,) = json.loads(output)["PublicKeyList"]
    assert code == 0
    assert base64.b64decode(key["Value"]) == SIGNER.der
    assert key["Fingerprint"] == SIGNER.fingerprint
    assert key["ValidityEndTime"] == when(START + 30 * 86_400)
    late = ("--start-time", str(START + 30 * 86_400))
    assert json.loads(run("public-keys", "export", "--data", str(data), *late)[1]) == {
        "PublicKeyList": []
    }


@pytest.mark.parametrize("command", [("public-keys", "export"), ("receipt", "export", TRAIL)])
def test_without_a_server_there_is_nothing_to_export(data, command):
    with pytest.raises(UsageError, match="has no server's state"):
        run(*command, "--data", str(data))


def test_a_receipt_says_what_the_newest_digest_is(files, trail):
    receipt = json.loads(Path(files[3]).read_text())
    payload = json.loads(receipt["payload"])
    assert (payload["trailARN"], payload["logId"], payload["version"]) == (IT.arn, LOG_ID, 1)
    (head,) = payload["heads"]
    assert head["digestS3Object"] == trail.digests[-1]
    assert head["digestHashValue"] == trail.previous["sha256"]
    assert head["digestEndTime"] == when(END)
    assert (head["digests"], head["logFiles"], head["records"]) == (3, 4, 4)


def test_openssl_checks_a_receipt(files, tmp_path):
    """As docs/verification.md tells a reader to."""
    receipt = json.loads(Path(files[3]).read_text())
    (tmp_path / "payload").write_text(receipt["payload"])
    (tmp_path / "signature").write_bytes(bytes.fromhex(receipt["signature"]))
    (tmp_path / "key.der").write_bytes(SIGNER.der)
    made = ["openssl", "rsa", "-RSAPublicKey_in", "-inform", "DER", "-in", "key.der", "-pubout"]
    subprocess.run([*made, "-out", "key.pem"], cwd=tmp_path, check=True, capture_output=True)
    check = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature"]
    done = subprocess.run([*check, "payload"], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"Verified OK\n")


def test_a_bucket_that_has_what_the_receipt_says(data, files):
    code, output = run("verify", here(data), *files)
    assert (code, output.splitlines()[0]) == (0, "3/3 digest files valid")
    assert "1/1 receipts valid" in output


def test_a_bucket_that_lost_its_newest_hours(data, trail, files):
    for key in (trail.digests[-1], *trail.logs[-2:]):
        (data / "buckets" / "logs" / key).unlink()
    assert run("verify", here(data), *files[:2])[0] == 0
    code, output = run("verify", here(data), *files)
    assert code == 1
    assert f"Digest file\ts3://logs/{trail.digests[-1]}\tINVALID: not found" in output


def test_a_bucket_that_lost_everything(data, files):
    shutil.rmtree(here(data))
    (data / "buckets" / "logs").mkdir()
    code, output = run("verify", here(data), *files, "--original", "logs")
    assert (code, output.splitlines()[-1]) == (1, "verdict: INVALID")


@pytest.mark.parametrize("start", [END, END + 1])
def test_a_receipt_of_before_the_time_asked_for_proves_nothing_of_it(data, trail, files, start):
    """All of that time may be gone: there is a good receipt, and nothing else."""
    code, output = run("verify", here(data), *files, "--start-time", str(start))
    assert (code, "No digests found" in output) == ((2, True) if start > END else (0, False)), (
        output
    )
    assert trail


def test_a_receipt_may_be_older_than_the_bucket(data, trail, files):
    trail.digest(END, END + HOUR, [trail.log(END + 60)])
    assert run("verify", here(data), *files)[0] == 0


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda r: r | {"payload": r["payload"].replace('"records":4', '"records":5')}, 1,
         "signature verification failed"),
        (lambda r: r | {"signatureAlgorithm": "SHA1withRSA"}, 1, "algorithm is not SHA256withRSA"),
        (lambda r: r | {"publicKeyFingerprint": "0" * 32}, 2, "public key not found"),
    ],
)  # fmt: skip
def test_a_receipt_that_is_not_what_was_signed(data, files, change, code, said):
    receipt = json.loads(Path(files[3]).read_text())
    Path(files[3]).write_text(json.dumps(change(receipt)))
    found, output = run("verify", here(data), *files)
    assert (found, said in output) == (code, True), output


@pytest.mark.parametrize("text", ["", "{}", "[" * 10_000, '{"payload":"{}","signature":""}'])
def test_a_receipt_that_is_none(data, files, text):
    Path(files[3]).write_text(text)
    with pytest.raises(UsageError, match="is no receipt"):
        run("verify", here(data), *files)


def test_a_receipt_of_another_trail(data, files):
    with pytest.raises(UsageError, match=f"is a receipt of {IT.arn}"):
        run("verify", here(data), *files, "--trail", "another")


@pytest.mark.parametrize("asked", [("--account", "444455556666"), ("--region", "eu-west-1")])
def test_a_receipt_of_what_is_not_asked_for(data, trail, files, asked):
    """A trail of the same name in another account: its receipt shows nothing of this one."""
    other = SignedBucket(trail.bucket, SIGNER, account="444455556666", region="eu-west-1")
    other.chain(START, 2)
    code, output = run("verify", here(data), *files, *asked)
    assert (code, "names no digest that is verified" in output) == (2, True)
    assert run("verify", here(data), *files)[0] == 0


def test_a_copy_of_a_part_of_a_bucket(data, files, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(data / "buckets" / "logs" / "AWSLogs" / ACCOUNT, copy)
    original = f"s3://logs/AWSLogs/{ACCOUNT}"
    code, output = run("verify", str(copy), *files, "--original", original)
    assert code == 0, output  # the receipt has the newest signature, the chain has the others
    assert run("verify", str(copy), *files, "--original", "s3://logs")[0] == 1


def test_a_trail_knows_the_files_that_wait_for_their_digest(data, trail, state):
    file = trail.log(END + 600)
    deliver(state, file, END + 600)
    code, output = run("verify", TRAIL, "--data", str(data))
    assert (code, "5/5 log files valid" in output) == (0, True), output
    (data / "buckets" / "logs" / file["s3Object"]).unlink()
    code, output = run("verify", TRAIL, "--data", str(data))
    assert (code, f"{file['s3Object']}\tINVALID: not found" in output) == (1, True)


def test_the_alias_takes_a_trail_as_the_aws_cli_does(data, state):
    assert state
    since = ("--start-time", when(START), "--data", str(data))
    assert run("validate-logs", "--trail-arn", IT.arn, *since)[0] == 0
    with pytest.raises(UsageError, match="name one target"):
        run("validate-logs", *since)
    with pytest.raises(UsageError, match="name one target"):
        run("validate-logs", TRAIL, "--trail-arn", IT.arn, *since)


def by_alias(data, *arguments):
    since = ("--trail-arn", IT.arn, "--start-time", when(START), "--data", str(data))
    return run("validate-logs", *since, *arguments)


def test_the_alias_takes_the_whole_line_of_the_aws_cli(data, trail, state):
    """Beside the server, by what it knows: the newest digest is gone."""
    assert state
    line = ("--s3-bucket", "logs", "--account-id", ACCOUNT, "--verbose")
    code, output = by_alias(data, *line, "--end-time", when(END))
    assert (code, "3/3 digest files valid" in output) == (0, True), output
    (data / "buckets" / "logs" / trail.digests[-1]).unlink()
    assert by_alias(data, *line, "--end-time", when(END))[0] == 1
    assert by_alias(data, "--s3-bucket", "logs", "--account-id", "999999999999")[0] == 2


def test_the_alias_looks_where_it_is_told_to(data, files):
    """A trail of no server here: AWS's, say, or one that delivers elsewhere by now."""
    bucket = LocalDir(data / "buckets" / "moved", "moved", SettableClock())
    theirs = SignedBucket(bucket, SIGNER, prefix="deep/er/")
    theirs.chain(START, 2)
    SignedBucket(bucket, SIGNER, trail="second", prefix="deep/er/").chain(START + 60, 1)
    asked = ("--s3-bucket", "moved", *files[:2])
    code, output = by_alias(data, *asked, "--s3-prefix", "deep/er")
    assert (code, "3/3 digest files valid" in output) == (0, True), output
    (data / "buckets" / "moved" / theirs.logs[-1]).unlink()
    assert by_alias(data, *asked, "--s3-prefix", "deep/er/")[0] == 1
    for nowhere in ((), ("--s3-prefix", "deep")):
        code, output = by_alias(data, *asked, *nowhere)
        assert (code, "No digests found" in output) == (2, True), output


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("--trail-arn", IT.arn, "--s3-prefix", "p"), "--s3-bucket"),
        (("logs", "--s3-bucket", "logs"), "--trail-arn"),
        (("--trail-arn", "audit", "--s3-bucket", "logs"), "audit"),
        (("--trail-arn", IT.arn.replace(":trail", ":channel"), "--s3-bucket", "b"), "no trail"),
        (("--trail-arn", IT.arn), "--s3-bucket"),
    ],
)
def test_what_the_alias_needs_is_said(data, line, message):
    with pytest.raises(UsageError, match=message):
        run("validate-logs", *line, "--data", str(data / "none"))


def test_it_must_reach_to_now_when_asked(data, files):
    code, output = run("verify", here(data), *files, "--end-time", "now")
    assert (code, "no digests: the trail did not log then" in output) == (0, False)
    code, output = run("verify", here(data), *files[:2], "--end-time", "now")
    assert (code, "no digests: the trail did not log then" in output) == (2, True)
    with pytest.raises(UsageError, match="is after"):
        run("verify", here(data), "--start-time", "2026-02-01", "--end-time", "2026-01-31")


def test_several_processes_say_the_same(data, trail, files):
    trail.chain(END + HOUR, 9)
    plain = run("verify", here(data), *files, "--verbose", "--jobs", "1")
    assert run("verify", here(data), *files, "--verbose", "--jobs", "2") == plain
    assert plain[0] == 0


def test_keys_are_fetched_from_cloudtrail(data, trail, monkeypatch):
    opened, _ = door(data / "buckets")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER.secret_access_key)
    assert trail
    with serving(opened, SIGNER.listed()) as url:
        asked = ("verify", "s3://logs", "--endpoint-url", url, "--data", "none")
        assert run(*asked)[0] == 2
        code, output = run(*asked, "--fetch-keys")
        assert (code, output.splitlines()[-1]) == (0, "verdict: valid"), output


def test_the_aws_cli_lists_keys_that_verify_takes(data, trail, tmp_path):
    opened, _ = door(data / "buckets")
    with serving(opened, SIGNER.listed()) as url:
        done = aws("cloudtrail", "list-public-keys", endpoint=url, key=READER, home=tmp_path)
    assert done.returncode == 0
    (tmp_path / "keys.json").write_text(done.stdout)
    assert run("verify", here(data), "--public-keys", str(tmp_path / "keys.json"))[0] == 0
    assert trail


def test_a_directory_that_is_named_like_a_trail_is_not_taken_for_it(data, state, tmp_path):
    assert state
    (tmp_path / TRAIL).mkdir()
    with pytest.raises(UsageError, match="is a directory and a trail of the server here"):
        run("verify", TRAIL, "--data", str(data))
    assert run("verify", IT.arn, "--data", str(data))[0] == 0
    assert run("verify", f"./{TRAIL}", "--data", str(data))[0] == 2
