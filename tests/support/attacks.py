# SPDX-License-Identifier: Apache-2.0
"""What somebody who can write to a trail's bucket may do there, and what verifying says of it."""

import base64
import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from click.testing import CliRunner
from support.aws_clients import aws
from support.odd_gzip import with_holes
from support.open_buckets import SettableClock
from support.s3_server import ACCOUNT, READER, door, serving
from support.signed_bucket import HOUR, REGION, START, TRAIL, SignedBucket, Signer, when

from opentrail.cli.main import cli
from opentrail.clock import SystemClock
from opentrail.objects.base import Put
from opentrail.objects.localdir import LocalDir
from opentrail.trails.keys import PublicKey, SigningKey
from opentrail.verification.receipt import VERSION, Head, Payload, sign

HOURS = 5
END = START + HOURS * HOUR
ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{TRAIL}"


class Scene:
    """A copy of the bucket that is to be harmed."""

    def __init__(self, root: Path, written: SignedBucket, stolen: Signer) -> None:
        self.root = root / "buckets" / "logs"
        self.bucket = LocalDir(self.root, "logs", SettableClock())
        self.signer, self.stolen = written.signer, stolen
        self.logs, self.digests = written.logs, written.digests

    def path(self, key: str) -> Path:
        return self.root / key

    def data(self, key: str) -> bytes:
        return self.path(key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        self.path(key).write_bytes(data)

    def remove(self, *keys: str) -> None:
        for key in keys:
            self.path(key).unlink()

    def without_entries(self, key: str) -> dict[str, object]:
        """Return what a digest says, had it no log files."""
        body: dict[str, object] = json.loads(gzip.decompress(self.data(key)))
        return body | {"logFiles": []}

    def metadata(self, key: str, **metadata: str) -> None:
        self.bucket.put(key, self.data(key), Put(metadata=metadata))

    def signed_by(self, signer: Signer, key: str) -> None:
        """Put a digest that lists nothing, signed anew."""
        body = self.without_entries(key) | {"digestPublicKeyFingerprint": signer.fingerprint}
        SignedBucket(self.bucket, signer).put_digest(key, body)


def _nothing(_: Scene) -> None:
    """Harm nothing."""


def _change(scene: Scene) -> None:
    scene.write(scene.logs[3], gzip.compress(b'{"Records":[]}'))


def _swap(scene: Scene) -> None:
    one, other = scene.data(scene.logs[2]), scene.data(scene.logs[5])
    scene.write(scene.logs[2], other)
    scene.write(scene.logs[5], one)


def _pack_anew(scene: Scene) -> None:
    content = gzip.decompress(scene.data(scene.logs[3]))
    scene.write(scene.logs[3], with_holes(content))


def _append(data: bytes) -> Callable[[Scene], None]:
    return lambda scene: scene.write(scene.logs[3], scene.data(scene.logs[3]) + data)


def _append_to_digest(scene: Scene) -> None:
    key = scene.digests[-1]
    scene.write(key, scene.data(key) + gzip.compress(b"{}"))


def _forge(scene: Scene) -> None:
    SignedBucket(scene.bucket, scene.signer).log(START + 2 * HOUR + 900)


def _forge_before(scene: Scene) -> None:
    SignedBucket(scene.bucket, scene.signer).log(START - 24 * HOUR)


def _forge_beside(scene: Scene) -> None:
    scene.bucket.put(f"AWSLogs/{ACCOUNT}/CloudTrail/forged.json.gz", gzip.compress(b"{}"), Put())


def _forge_among_digests(scene: Scene) -> None:
    folder, _, _ = scene.digests[3].rpartition("/")
    name = scene.logs[3].rpartition("/")[2].replace(".json.gz", "0.json.gz")
    scene.bucket.put(f"{folder}/{name}", gzip.compress(b"{}"), Put())


def _forge_upper(scene: Scene) -> None:
    key = scene.logs[3].replace(".json.gz", "0.JSON.GZ")
    scene.bucket.put(key, gzip.compress(b"{}"), Put())


def _forge_elsewhere(scene: Scene) -> None:
    SignedBucket(scene.bucket, scene.signer, region="eu-west-1").log(START + HOUR)


def _forge_in_folder(scene: Scene) -> None:
    """Add a log file in the folder of a day that is covered, by its name one of another year."""
    folder = scene.logs[3].rpartition("/")[0]
    key = f"{folder}/{ACCOUNT}_CloudTrail_{REGION}_20200101T0000Z_A.json.gz"
    scene.bucket.put(key, gzip.compress(b"{}"), Put())


def _copy_elsewhere(scene: Scene) -> None:
    for key in scene.logs[2:4]:
        scene.bucket.put(f"backup/{key}", scene.data(key), Put())


def _forge_deep(scene: Scene) -> None:
    """Add a log file to the directory, deeper than a key of S3's can be long."""
    folder, _, file = scene.path(scene.logs[3]).as_posix().rpartition("/")
    deep = Path(folder).joinpath(*(str(number) * 240 for number in range(4)))
    deep.mkdir(parents=True)
    (deep / file).write_bytes(gzip.compress(b"{}"))


def _link(scene: Scene) -> None:
    """Let another account's folder be a link to log files elsewhere."""
    (scene.root / "AWSLogs/999988887777").symlink_to(scene.root / "AWSLogs" / ACCOUNT)


def _another_signature(scene: Scene) -> None:
    key, other = scene.digests[-1], scene.digests[-2]
    scene.metadata(key, **scene.bucket.head(other).metadata)


def _forge_ahead(scene: Scene) -> None:
    SignedBucket(scene.bucket, scene.signer).log(SystemClock().now_ms() // 1000 + 86_400)


def _forge_backfill(scene: Scene, signer: Signer | None = None) -> None:
    """Add a digest that came late, by the attacker's key, which lists a forged log file."""
    attacker = SignedBucket(scene.bucket, signer or Signer())
    key = scene.digests[2].replace(".json", "_backfill.json")
    body = scene.without_entries(scene.digests[2])
    nothing = dict.fromkeys(each for each in body if each.startswith("previousDigest"))
    files = [attacker.log(START + 2 * HOUR + 900)]
    mine = {"digestPublicKeyFingerprint": attacker.signer.fingerprint, "digestS3Object": key}
    attacker.put_digest(key, body | nothing | mine | {"logFiles": files})
    kept = dict(scene.bucket.head(key).metadata)
    scene.metadata(key, **kept | {"backfill-generation-timestamp": when(END)})


def _another_trails(scene: Scene) -> None:
    """Put a digest of another trail, of the same hour and by the same key, in the newest's place."""
    other = SignedBucket(scene.bucket, scene.signer, trail="other")
    key = other.digest(END - HOUR, END)
    head = scene.bucket.head(key)
    scene.bucket.put(scene.digests[-1], scene.data(key), Put(metadata=head.metadata))
    scene.remove(key)


def _another_before(scene: Scene) -> None:
    body = json.loads(gzip.decompress(scene.data(scene.digests[-1])))
    text = json.dumps(body | {"previousDigestHashValue": "0" * 64})
    scene.write(scene.digests[-1], gzip.compress(text.encode()))


def _all_anew(scene: Scene) -> None:
    attacker = SignedBucket(scene.bucket, Signer())
    attacker.chain(START, HOURS)


def _rename(scene: Scene) -> None:
    path = scene.path(scene.logs[3])
    path.rename(path.with_name(path.name[:-12] + "00000.json.gz"))


def _change_digest(scene: Scene) -> None:
    text = json.dumps(scene.without_entries(scene.digests[2]))
    scene.write(scene.digests[2], gzip.compress(text.encode()))


def _move_digest(scene: Scene) -> None:
    """Let the newest digest stand at a later hour, as if the trail had been idle since."""
    key = scene.digests[-1]
    later = key.replace(when(END, "%Y%m%dT%H%M%SZ"), when(END + 60, "%Y%m%dT%H%M%SZ"))
    scene.bucket.put(later, scene.data(key), Put(metadata=scene.bucket.head(key).metadata))
    scene.remove(key)


def _replace_digest(scene: Scene) -> None:
    """Put the digest of one hour in the place of another's, signature and all."""
    key, other = scene.digests[-1], scene.digests[-2]
    scene.bucket.put(key, scene.data(other), Put(metadata=scene.bucket.head(other).metadata))


def _older_state(scene: Scene) -> None:
    scene.remove(*scene.digests[-2:], *scene.logs[-4:])


def _everything(scene: Scene) -> None:
    shutil.rmtree(scene.root)
    scene.root.mkdir()


def _algorithm(scene: Scene) -> None:
    key = scene.digests[-1]
    kept = dict(scene.bucket.head(key).metadata)
    scene.metadata(key, **kept | {"signature-algorithm": "SHA1withRSA"})


@dataclass(frozen=True)
class Attack:
    """One row of the table."""

    name: str
    harm: Callable[[Scene], None]


ATTACKS = (
    Attack("none: the bucket as it was filled", _nothing),
    Attack("a log file's content changed", _change),
    Attack("two log files swapped", _swap),
    Attack("a log file deleted", lambda s: s.remove(s.logs[3])),
    Attack("a log file renamed", _rename),
    Attack("a log file cut short", lambda s: s.write(s.logs[3], s.data(s.logs[3])[:-9])),
    Attack("bytes appended to a log file", _append(b"more")),
    Attack("a second gzip member appended to a log file", _append(gzip.compress(b"{}"))),
    Attack("a second gzip member appended to a digest", _append_to_digest),
    Attack("a log file packed so that zlib cannot unpack it", _pack_anew),
    Attack("a forged log file added", _forge),
    Attack("a forged log file added, of a time before the first digest", _forge_before),
    Attack("a forged log file added in another region's folder", _forge_elsewhere),
    Attack("a forged log file added beside the regions' folders", _forge_beside),
    Attack("a forged log file added among the digests", _forge_among_digests),
    Attack("a forged log file added under a name that no trail gives", _forge_upper),
    Attack("a forged log file added in a day's folder, by its name of another year",
           _forge_in_folder),
    Attack("a forged log file added, of a time that has not come", _forge_ahead),
    Attack("a forged log file added, deeper in the directory than S3's keys reach", _forge_deep),
    Attack("a link to log files in the place of another account's folder", _link),
    Attack("log files copied under another prefix", _copy_elsewhere),
    Attack("a digest's list of log files changed", _change_digest),
    Attack("what a digest says of the one before it changed", _another_before),
    Attack("a digest of another trail in the place of the newest", _another_trails),
    Attack("a digest deleted", lambda s: s.remove(s.digests[3])),
    Attack("two digests in a row deleted", lambda s: s.remove(*s.digests[2:4])),
    Attack("two digests in a row deleted with their log files",
           lambda s: s.remove(*s.digests[2:4], *s.logs[2:6])),
    Attack("the oldest digest deleted", lambda s: s.remove(s.digests[0])),
    Attack("the newest digest deleted", lambda s: s.remove(s.digests[-1])),
    Attack("the newest digests deleted with their log files", _older_state),
    Attack("all digests deleted", lambda s: s.remove(*s.digests)),
    Attack("everything deleted", _everything),
    Attack("a digest's signature removed", lambda s: s.metadata(s.digests[-1])),
    Attack("a digest's signature replaced by that of the one before it", _another_signature),
    Attack("a digest's signature algorithm changed in its metadata", _algorithm),
    Attack("the newest digest moved to a later time", _move_digest),
    Attack("the newest digest replaced by the one before it", _replace_digest),
    Attack("the newest digest signed anew with the attacker's key",
           lambda s: s.signed_by(Signer(), s.digests[-1])),
    Attack("all digests and log files made anew with the attacker's key", _all_anew),
    Attack("a backfill digest by the attacker's key, with a forged log file", _forge_backfill),
    Attack("the newest digest signed anew with a stolen key that has expired",
           lambda s: s.signed_by(s.stolen, s.digests[-1])),
    Attack("an older digest signed anew with a stolen key",
           lambda s: s.signed_by(s.signer, s.digests[2])),
    Attack("a backfill digest by a stolen key, with a forged log file",
           lambda s: _forge_backfill(s, s.signer)),
    Attack("digests of another region made with a stolen key",
           lambda s: SignedBucket(s.bucket, s.signer, region="eu-west-1").chain(START, HOURS)),
    Attack("the newest digest signed anew with a stolen key",
           lambda s: s.signed_by(s.signer, s.digests[-1])),
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What was said of an attack: exit codes."""

    validate_logs: int | None
    """None: it was not asked."""
    with_keys: int
    with_receipt: int


class Range:
    """Where attacks are tried: a bucket that was filled once, and copied for each."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._signer, self._stolen = Signer(), Signer()
        bucket = LocalDir(home / "filled" / "buckets" / "logs", "logs", SettableClock())
        self._written = SignedBucket(bucket, self._signer)
        self._written.chain(START, HOURS)
        self._keys = home / "keys.json"
        self._keys.write_bytes(self._listed())
        self._receipt = home / "receipt.json"
        self._receipt.write_bytes(msgspec.json.encode(self._signed_receipt()))

    def _listed(self) -> bytes:
        """Return both public keys as ListPublicKeys does; the stolen one has expired."""
        expired = START - HOUR
        return json.dumps({
            "PublicKeyList": [
                {
                    "Value": base64.b64encode(signer.der).decode(),
                    "Fingerprint": signer.fingerprint,
                    "ValidityStartTime": end - 400 * 86_400,
                    "ValidityEndTime": end,
                }
                for signer, end in ((self._signer, END + 86_400), (self._stolen, expired))
            ]
        }).encode()  # fmt: skip

    def _signed_receipt(self) -> object:
        newest = self._written.previous
        assert newest is not None
        head = Head(
            account=ACCOUNT,
            region=REGION,
            chain=1,
            digest_s3_bucket="logs",
            digest_s3_object=newest["key"],
            digest_end_time=when(END),
            digest_hash_value=newest["sha256"],
            digest_signature=newest["signature"],
            digests=HOURS + 1,
            log_files=2 * HOURS,
            records=2 * HOURS,
        )
        payload = Payload(
            version=VERSION, log_id="", trail_arn=ARN, made_time=when(END + 60), heads=(head,)
        )
        public = PublicKey(self._signer.der, 0, 0, self._signer.fingerprint)
        return sign(payload, SigningKey(1, public, self._signer.private))

    @contextmanager
    def harmed(self, attack: Attack) -> Iterator[Path]:
        """Yield the root of a copy of the bucket after the attack."""
        root = self.home / "harmed"
        shutil.copytree(self.home / "filled", root)
        attack.harm(Scene(root, self._written, self._stolen))
        yield root
        shutil.rmtree(root)

    def seen(self, attack: Attack, *, by_the_cli: bool) -> Seen:
        """Return what is said of an attack; asking the AWS CLI takes a second."""
        with self.harmed(attack) as root:
            return Seen(
                self._validate_logs(root) if by_the_cli else None,
                self._verify(root),
                self._verify(root, "--receipt", str(self._receipt)),
            )

    def _validate_logs(self, root: Path) -> int:
        opened, _ = door(root / "buckets")
        with serving(opened, self._keys.read_bytes()) as url:
            return aws(
                "cloudtrail", "validate-logs", "--trail-arn", ARN, "--s3-bucket", "logs",
                "--start-time", when(START - HOUR), "--end-time", when(END),
                endpoint=url, key=READER, home=self.home,
            ).returncode  # fmt: skip

    def _verify(self, root: Path, *arguments: str) -> int:
        given = ("verify", str(root / "buckets" / "logs"), "--original", "s3://logs")
        more = ("--public-keys", str(self._keys), "--data", str(root / "none"))
        until = ("--end-time", when(END), "--jobs", "1")
        return CliRunner().invoke(cli, [*given, *more, *until, *arguments]).exit_code


WORDS = {0: "valid (0)", 1: "INVALID (1)", 2: "cannot tell (2)"}


def row(attack: Attack, seen: Seen) -> str:
    """Return the row of the table in the documents."""
    by_the_cli = "" if seen.validate_logs is None else WORDS[min(seen.validate_logs, 1)]
    ours = f"{WORDS[seen.with_keys]} | {WORDS[seen.with_receipt]}"
    return f"| {attack.name} | {by_the_cli} | {ours} |"
