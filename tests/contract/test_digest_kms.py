# SPDX-License-Identifier: Apache-2.0
"""Digests signed by a key in KMS (moto's), which the AWS CLI's own code finds valid."""

from contextlib import suppress

import msgspec
import pytest
from support.aws_clients import Key, client
from support.delivery_world import BUCKETS, REGIONS, World
from support.digest_checks import all_digests, check_all, validate

from opentrail.errors import ClientError, Unavailable
from opentrail.sandbox.moto import start_moto
from opentrail.trails.digest import Digests, SigningRooms
from opentrail.trails.digest_setting import DigestSetting
from opentrail.trails.keys import DigestKeys
from opentrail.trails.kmskeys import RAW_BYTES_MAX, load_signer, signers_of
from opentrail.verification.receipt import Payload, judge, sign
from opentrail.verification.verdict import KeyRing, KnownKey, Verdict

KEY = Key("AKIATESTKMS", "a-secret")
ALIAS = "alias/digests"


@pytest.fixture(scope="module")
def moto():
    with start_moto() as running:
        yield running.url


@pytest.fixture
def kms(moto, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY.secret_access_key)
    found = client("kms", moto, KEY)
    yield found
    found.close()


def made(kms, spec="RSA_2048"):
    return kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]


def setting(moto, key=ALIAS):
    return DigestSetting(key=f"kms:{key}", endpoint=moto, region="us-east-1")


class KmsWorld(World):
    """A world whose digests KMS signs."""

    def __init__(self, moto, tmp_path):
        super().__init__(digest_interval_s=60)
        self.keys = DigestKeys.open(tmp_path / "keys", self.state)
        signers = signers_of(setting(moto), self.keys)
        rooms = SigningRooms(self.state, self.buckets, signers, self.threads)
        self.digests = Digests(rooms, self.clock)


@pytest.fixture
def world(kms, moto, tmp_path):
    if any(each["AliasName"] == ALIAS for each in kms.list_aliases()["Aliases"]):
        kms.delete_alias(AliasName=ALIAS)
    kms.create_alias(AliasName=ALIAS, TargetKeyId=made(kms))
    return KmsWorld(moto, tmp_path)


def run_hours(world, count=2):
    for _ in range(count):
        world.write()
        world.pass_time()
        world.run()


def test_kms_signs_and_nothing_is_kept_here(world, tmp_path):
    trail = world.registry.start(world.create())
    run_hours(world)
    assert list((tmp_path / "keys").iterdir()) == []
    verdict = validate(world, trail.arn, REGIONS[0], BUCKETS[0])
    assert (len(verdict.valid) > 3, verdict.gaps, verdict.wrong) == (True, [], [])
    check_all(world)


def test_an_alias_that_is_pointed_at_another_key_rotates(world, kms):
    trail = world.registry.start(world.create())
    run_hours(world)
    kms.update_alias(AliasName=ALIAS, TargetKeyId=made(kms))
    run_hours(world)
    signers = {digest["digestPublicKeyFingerprint"] for _, _, digest in all_digests(world)}
    assert len(signers) == 2
    assert validate(world, trail.arn, REGIONS[0], BUCKETS[0]).wrong == []


def test_while_kms_refuses_digests_wait_and_the_status_says_why(world, kms):
    trail = world.registry.start(world.create())
    run_hours(world)
    before = len(list(all_digests(world)))
    key_id = kms.describe_key(KeyId=ALIAS)["KeyMetadata"]["KeyId"]
    kms.delete_alias(AliasName=ALIAS)  # moto lets a disabled key sign
    run_hours(world)
    assert world.registry.status(trail.id).digest.error == "KMS.NotFoundException"
    assert len(list(all_digests(world))) == before
    assert world.delivered() == world.expected()
    kms.create_alias(AliasName=ALIAS, TargetKeyId=key_id)
    run_hours(world)
    assert world.registry.status(trail.id).digest.error == ""
    assert validate(world, trail.arn, REGIONS[0], BUCKETS[0]).wrong == []
    check_all(world)


@pytest.mark.parametrize("spec", ["RSA_4096", "ECC_NIST_P256"])
def test_a_key_of_another_kind_is_refused(kms, moto, world, spec):
    keys = signers_of(setting(moto, made(kms, spec)), world.keys)
    with pytest.raises(ClientError, match=r"KMS\.InvalidKeyUsageException"):
        keys.signing_key(0)


def test_a_key_that_is_not_there_and_a_kms_that_is_not(moto, world):
    with pytest.raises(ClientError, match=r"KMS\.NotFoundException"):
        signers_of(setting(moto, "alias/none"), world.keys).signing_key(0)
    with pytest.raises(Unavailable, match="KMS"):
        signers_of(setting("http://127.0.0.1:9"), world.keys).signing_key(0)


@pytest.mark.parametrize("length", [RAW_BYTES_MAX, RAW_BYTES_MAX + 1])
def test_what_kms_is_sent_is_never_too_long(kms, world, length):
    assert world
    heard = Hearing(kms)
    with suppress(Unavailable):  # moto hashes a digest once more
        load_signer(heard, ALIAS, 0).sign(b"x" * length)
    assert len(heard.message) == (length if length == RAW_BYTES_MAX else 32)


class Hearing:
    """KMS, and what it was sent."""

    def __init__(self, kms):
        self.kms = kms
        self.get_public_key = kms.get_public_key
        self.message = b""

    def sign(self, **sent):
        self.message = sent["Message"]
        return self.kms.sign(**sent)


class Lying:
    """KMS that signs something else."""

    def __init__(self, kms):
        self.get_public_key = kms.get_public_key

    def sign(self, **_):
        return {"Signature": b"\x00" * 256}


def test_a_signature_that_does_not_check_out_is_not_used(kms, world):
    assert world
    with pytest.raises(Unavailable, match="no good signature"):
        load_signer(Lying(kms), ALIAS, 0).sign(b"text")


def test_a_receipt_signed_by_kms(kms, world):
    assert world
    signer = load_signer(kms, ALIAS, 0)
    payload = Payload(version=1, log_id="", trail_arn="", made_time="", heads=())
    receipt = sign(payload, signer)
    ring = KeyRing.of([KnownKey(signer.public.value)], complete=True)
    assert judge(receipt, ring)[0] is Verdict.VALID
    assert judge(msgspec.structs.replace(receipt, payload="x"), ring)[0] is Verdict.INVALID
