# SPDX-License-Identifier: Apache-2.0
"""`opentrail verify`: its targets, its output, its exit codes."""

import gzip
import json
import shutil

import msgspec
import pytest
from click.testing import CliRunner
from support.aws_clients import without_aws
from support.open_buckets import SettableClock
from support.s3_server import ACCOUNT, READER, door, serving
from support.signed_bucket import START, TRAIL, SignedBucket, Signer
from support.signed_state import IT, write_state
from support.terminal import lines_of, on_terminal

from opentrail.cli.verify import command
from opentrail.errors import OpenTrailError, UsageError
from opentrail.objects.localdir import LocalDir
from opentrail.state.base import Change
from opentrail.trails.trail import trail_key

SIGNER = Signer()
COVERS = "valid digests cover 2023-11-14T21:00:00Z to 2023-11-15T00:00:00Z"
OF = "they are of audit_1 111122223333 us-east-1 in s3://logs"


@pytest.fixture
def data(tmp_path, monkeypatch):
    without_aws(monkeypatch)
    return tmp_path / "data"


@pytest.fixture
def trail(data):
    bucket = LocalDir(data / "buckets" / "logs", "logs", SettableClock())
    found = SignedBucket(bucket, SIGNER)
    found.chain(START, 2)
    return found


@pytest.fixture
def keys(tmp_path):
    file = tmp_path / "keys.json"
    file.write_bytes(SIGNER.listed())
    return str(file)


@pytest.fixture
def state(data, trail):
    opened = write_state(data, trail)
    yield opened
    opened.close()


def run(data, *arguments):
    result = CliRunner().invoke(command, ["--data", str(data), *arguments])
    if isinstance(result.exception, OpenTrailError):
        raise result.exception
    return result.exit_code, result.stdout


def here(data):
    return str(data / "buckets" / "logs")


def test_a_directory_that_is_valid(data, trail, keys):
    code, output = run(data, here(data), "--public-keys", keys)
    assert (code, output.splitlines()) == (
        0,
        ["3/3 digest files valid", "4/4 log files valid", COVERS, OF, "verdict: valid"],
    )
    assert trail.digests


def test_every_file_is_named_when_asked(data, trail, keys):
    code, output = run(data, here(data), "--public-keys", keys, "--verbose")
    assert code == 0
    assert f"Digest file\ts3://logs/{trail.digests[0]}\tvalid" in output.splitlines()
    assert f"Log file\ts3://logs/{trail.logs[0]}\tvalid" in output.splitlines()


def test_a_directory_that_is_not_valid(data, trail, keys):
    (data / "buckets" / "logs" / trail.logs[0]).write_bytes(gzip.compress(b"{}"))
    code, output = run(data, here(data), "--public-keys", keys)
    assert code == 1
    assert output.splitlines() == [
        f"Log file\ts3://logs/{trail.logs[0]}\tINVALID: hash value doesn't match",
        "3/3 digest files valid",
        "3/4 log files valid, 1/4 log files INVALID",
        COVERS,
        OF,
        "verdict: INVALID",
    ]


@pytest.mark.usefixtures("trail")
def test_without_keys_it_cannot_tell_and_says_what_to_give(data):
    code, output = run(data, here(data))
    assert code == 2
    assert output.splitlines()[-2:] == [
        "no public keys: give --public-keys FILE, --fetch-keys, or --data of the server",
        "verdict: cannot tell",
    ]


def test_an_empty_directory(data, tmp_path, keys):
    (tmp_path / "empty").mkdir()
    code, output = run(data, str(tmp_path / "empty"), "--public-keys", keys)
    assert (code, output.splitlines()[0]) == (2, "No digests found")


def test_it_is_said_whose_digests_were_valid(data, trail, keys):
    """All of one trail may be gone and another be there: what is left is valid, and not what was."""
    for region in range(6):
        SignedBucket(trail.bucket, SIGNER, trail="other", region=f"eu-west-{region}").chain(
            START, 1
        )
    output = run(data, here(data), "--public-keys", keys)[1].splitlines()
    assert output[-2].startswith("they are of audit_1 111122223333 us-east-1 in s3://logs, other ")
    assert output[-2].endswith("eu-west-3 in s3://logs, and 2 more")


def test_a_terminal_sees_how_far_it_is_while_processes_read(data, trail, keys, tmp_path):
    (data / "buckets" / "logs" / trail.logs[0]).write_bytes(gzip.compress(b"{}"))
    given = ("verify", here(data), "--public-keys", keys, "--data", str(data), "--jobs", "2")
    shown = on_terminal(*given, home=tmp_path, columns=200)
    assert "0 log files" in shown
    lines = lines_of(shown)
    assert lines[-1] == "verdict: INVALID"
    (row,) = (line for line in lines if "hash value" in line)
    assert row.split()[:3] == ["Log", "file", "INVALID"]


def test_a_copy_without_metadata(data, trail, keys, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(here(data), copy, ignore=shutil.ignore_patterns(".opentrail"))
    code, output = run(data, str(copy), "--public-keys", keys, "--bucket", "logs")
    assert code == 2
    assert "its signature is not in this copy" in output
    assert trail.digests[-1] in output


@pytest.mark.usefixtures("state")
def test_a_trail_by_its_name_and_by_its_arn(data):
    for text in (TRAIL, IT.arn):
        code, output = run(data, text)
        assert (code, output.splitlines()[-1]) == (0, "verdict: valid")


@pytest.mark.usefixtures("state")
def test_a_trails_newest_digest_cannot_be_taken_away(data, trail):
    (data / "buckets" / "logs" / trail.digests[-1]).unlink()
    code, output = run(data, TRAIL, "--allow-unlisted")
    assert code == 1
    assert f"Digest file\ts3://logs/{trail.digests[-1]}\tINVALID: not found" in output
    code, _ = run(data, here(data), "--allow-unlisted")
    assert code == 0


@pytest.mark.usefixtures("state")
def test_a_trail_signed_with_a_key_of_their_own(data):
    bucket = LocalDir(data / "buckets" / "logs", "logs", SettableClock())
    stranger = Signer()
    SignedBucket(bucket, stranger).chain(START, 2)
    code, output = run(data, TRAIL)
    assert code == 1
    assert f"INVALID: public key not found for fingerprint {stranger.fingerprint}" in output


@pytest.mark.usefixtures("state")
def test_a_trail_that_is_not_there(data):
    with pytest.raises(UsageError, match=f"there is no trail nope; trails: {TRAIL}"):
        run(data, "nope")


def test_a_trail_of_the_same_name_elsewhere(data, state):
    other = msgspec.structs.replace(IT, home_region="eu-west-1")
    state.commit([Change(trail_key(other), msgspec.json.encode(other), None)])
    with pytest.raises(UsageError, match="several places"):
        run(data, TRAIL)


def test_a_target_that_is_nothing(data):
    with pytest.raises(UsageError, match="name a trail of the server"):
        run(data, "nope")


def test_a_keys_file_that_is_none(data, tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(UsageError, match="list-public-keys"):
        run(data, str(tmp_path), "--public-keys", str(tmp_path / "x.json"))


@pytest.mark.usefixtures("trail")
def test_times_bound_what_is_checked(data, keys):
    code, output = run(
        data, here(data), "--public-keys", keys, "--start-time", str(START + 1), "--end-time",
        "2023-11-14T23:00:00Z",
    )  # fmt: skip
    assert code == 0
    assert "1/1 digest files valid" in output
    with pytest.raises(UsageError, match="is no time"):
        run(data, here(data), "--start-time", "someday")


@pytest.mark.usefixtures("trail")
def test_a_document_for_machines(data, keys):
    code, output = run(data, here(data), "--public-keys", keys, "--json")
    document = json.loads(output)
    assert code == 0
    assert document["verdict"] == "valid"
    assert len(document["findings"]) == 7
    assert document["findings"][0]["verdict"] == "valid"
    assert set(document) == {"findings", "summary", "verdict"}
    assert {tuple(each) for each in document["findings"]} == {
        ("kind", "subject", "verdict", "reason")
    }


@pytest.mark.usefixtures("trail")
def test_a_table_for_people(data, keys):
    code, output = run(data, here(data), "--public-keys", keys, "--format", "table", "--verbose")
    assert code == 0
    assert "What" in output
    assert "verdict: valid" in output


def test_what_a_terminal_would_act_on_is_shown(data, tmp_path, keys):
    folder = tmp_path / "x" / "AWSLogs" / ACCOUNT / "CloudTrail" / "us-east-1"
    bucket = LocalDir(tmp_path / "x", "x", SettableClock())
    SignedBucket(bucket, SIGNER).chain(START, 1)
    (folder / "\x1b[2J").write_bytes(b"")
    for form in ("plain", "table"):
        code, output = run(data, str(tmp_path / "x"), "--public-keys", keys, "--format", form)
        assert code == 1
        assert "\x1b" not in output


@pytest.mark.usefixtures("trail")
def test_a_bucket_at_an_endpoint(data, tmp_path, keys, monkeypatch):
    opened, _ = door(data / "buckets")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER.secret_access_key)
    with serving(opened) as url:
        for target in ("s3://logs", "s3://logs/"):
            code, output = run(
                tmp_path / "none", target, "--public-keys", keys, "--endpoint-url", url
            )
            assert (code, output.splitlines()[-1]) == (0, "verdict: valid"), output
        code, _ = run(tmp_path, "s3://logs/pre", "--public-keys", keys, "--endpoint-url", url)
        assert code == 2


def test_a_bucket_of_the_server_here(data, trail, state):
    code, output = run(data, "s3://logs")
    assert (code, output.splitlines()[-1]) == (0, "verdict: valid")
    assert trail.digests
    assert state.get("public-key/" + SIGNER.fingerprint)


@pytest.mark.usefixtures("trail")
def test_a_bucket_that_the_settings_name(data, tmp_path, keys):
    config = tmp_path / "opentrail.toml"
    config.write_text(f'[buckets.logs]\ndirectory = "{here(data)}"\n')
    arguments = ("--config", str(config), "--public-keys", keys)
    code, output = run(tmp_path / "none", "s3://logs", *arguments)
    assert (code, output.splitlines()[-1]) == (0, "verdict: valid")


@pytest.mark.usefixtures("trail")
def test_a_copy_of_a_bucket_may_have_any_name(data, tmp_path, keys):
    """Signatures and all; it is the directory bucket's own name that its digests must say."""
    shutil.copytree(data / "buckets" / "logs", tmp_path / "backup")
    code, output = run(data, str(tmp_path / "backup"), "--public-keys", keys)
    assert (code, OF in output) == (0, True), output
    (data / "buckets" / "logs").rename(data / "buckets" / "other")
    assert run(data, str(data / "buckets" / "other"), "--public-keys", keys)[0] == 1
    (data / "config.toml").write_text(f'[buckets.logs]\ndirectory = "{data}/buckets/other"\n')
    settings = ("--config", str(data / "config.toml"), "--public-keys", keys)
    assert run(data, str(data / "buckets" / "other"), *settings)[0] == 0


@pytest.mark.parametrize("taken_at", ["deep/", "deep/er"])
def test_a_copy_of_a_part_says_of_which(data, tmp_path, keys, taken_at):
    """As `aws s3 sync s3://logs/deep copy` leaves it, with what its digests say of themselves."""
    bucket = LocalDir(data / "buckets" / "logs", "logs", SettableClock())
    its = SignedBucket(bucket, SIGNER, prefix="deep/er/")
    its.chain(START, 2)
    copy, base = tmp_path / "copy", taken_at.rstrip("/")
    shutil.copytree(data / "buckets" / "logs" / base, copy)
    code, output = run(data, str(copy), "--public-keys", keys)
    note = f"Note\ts3://logs/{base}/\tthis is a copy of it, the digests say"
    assert (code, note in output.splitlines()) == (2, True), output
    assert "INVALID" not in output
    assert "2/3 digest files valid, 1/3 digest files cannot tell" in output
    (data / "buckets" / "logs" / its.logs[0]).unlink()
    (copy / its.logs[0].removeprefix(f"{base}/")).unlink()
    assert run(data, str(copy), "--public-keys", keys)[0] == 1


def test_a_digest_that_was_moved_away_is_no_copy_of_a_part(data, trail, keys):
    """Others are in their places: what it says of itself makes no part of the bucket."""
    root = data / "buckets" / "logs"
    shutil.copytree(root / "AWSLogs", root / "moved" / "AWSLogs")
    copy = data / "copy"
    root.rename(copy)
    code, output = run(data, str(copy), "--public-keys", keys)
    assert (code, "has been moved from its original location" in output) == (1, True), output
    assert trail


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("s3://logs/AWSLogs/", "s3://logs;"),
        ("s3://logs/p/q/AWSLogs/111122223333", "s3://logs/p/q;"),
    ],
)
def test_a_location_that_goes_too_deep(data, given, whole):
    """As the console copies it; no trail's prefix is in it."""
    with pytest.raises(UsageError, match=f"AWSLogs/, {whole}"):
        run(data, given)
