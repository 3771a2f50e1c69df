# SPDX-License-Identifier: Apache-2.0
"""Buckets at S3 endpoints, by a botocore client for each; loaded when the first one is asked for."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, cast

from botocore.exceptions import ClientError

from opentrail.clock import Clock
from opentrail.objects.driver import (
    KEY_REFUSED,
    ClientSpec,
    credentials_of,
    has_credentials,
    make_client,
)
from opentrail.objects.s3 import Answer, ObjectLock, S3Bucket, S3Client
from opentrail.objects.s3ask import S3Key, Where, is_direct
from opentrail.objects.setting import BucketSetting, Upstream


class _Meta(Protocol):
    endpoint_url: str
    region_name: str


class _WithMeta(Protocol):
    """What else of botocore's client is read."""

    meta: _Meta


class Renewed:
    """A client that is made anew once its key was refused: it may have been rotated.

    Safe from several threads: two that are refused at once make two, and the last is kept.
    """

    def __init__(self, make: Callable[[], S3Client]) -> None:
        self._make = make
        self.now = make()
        """The client that is used now."""
        self._refused = False

    def put_object(self, **arguments: object) -> Answer:
        """PutObject."""
        return self._call("put_object", arguments)

    def get_object(self, **arguments: object) -> Answer:
        """GetObject."""
        return self._call("get_object", arguments)

    def head_object(self, **arguments: object) -> Answer:
        """HeadObject."""
        return self._call("head_object", arguments)

    def list_objects_v2(self, **arguments: object) -> Answer:
        """ListObjectsV2."""
        return self._call("list_objects_v2", arguments)

    def get_bucket_acl(self, **arguments: object) -> Answer:
        """GetBucketAcl."""
        return self._call("get_bucket_acl", arguments)

    def _call(self, operation: str, arguments: Mapping[str, object]) -> Answer:
        if self._refused:
            self.now, self._refused = self._make(), False
        call: Callable[..., Answer] = getattr(self.now, operation)
        try:
            return call(**arguments)
        except ClientError as error:
            self._refused |= error.response.get("Error", {}).get("Code") in KEY_REFUSED
            raise


class S3Buckets:
    """``objects.table`` looks for a bucket here that is no directory. Safe from several threads."""

    def __init__(self, clock: Clock, region: str, upstream: Upstream | None) -> None:
        self._clock = clock
        self._region = region
        self._upstream = upstream
        self._clients: dict[BucketSetting, Renewed] = {}

    def find(self, name: str, setting: BucketSetting) -> S3Bucket:
        """Return a bucket. Raises: Unavailable: the shared files or the endpoint cannot be used."""
        days, mode = setting.object_lock_days, setting.object_lock_mode
        lock = ObjectLock(mode, days, self._clock) if days else None
        return S3Bucket(self._client(setting), name, setting.encryption, lock)

    def where(self, setting: BucketSetting) -> Where | None:
        """Return where ``S3Get`` finds it; None: only ``find`` does. Raises: Unavailable."""
        meta = cast("_WithMeta", self._client(setting).now).meta
        if not is_direct(meta.endpoint_url):
            return None
        key_id, secret = self._fallback(setting)
        if key_id and secret:
            return Where(meta.endpoint_url, meta.region_name, S3Key(key_id, secret), setting.ca)
        known = credentials_of(setting.credentials_profile)
        if known is None or not known.access_key or not known.secret_key:
            return None
        key = S3Key(known.access_key, known.secret_key, known.token or "")
        return Where(meta.endpoint_url, meta.region_name, key, setting.ca)

    def _client(self, setting: BucketSetting) -> Renewed:
        """Return the client of an endpoint: making one takes a tenth of a second and memory."""
        client = self._clients.get(setting)
        if client is None:
            client = Renewed(partial(self._made, setting))
            self._clients[setting] = client
        return client

    def _made(self, setting: BucketSetting) -> S3Client:
        """Return a client that asks nothing else than ``setting`` says. Raises: Unavailable."""
        spec = ClientSpec(
            "s3",
            setting.region or self._region,
            setting.endpoint,
            setting.credentials_profile,
            setting.ca,
            setting.addressing,
            (*self._fallback(setting), ""),
        )
        return cast("S3Client", make_client(spec))

    def _fallback(self, setting: BucketSetting) -> tuple[str, str]:
        """Return the upstream's own key where nothing else was configured to sign with."""
        upstream = self._upstream
        if upstream is None or setting.credentials_profile:
            return "", ""
        if setting.endpoint != upstream.endpoint or not upstream.access_key_id:
            return "", ""
        if has_credentials(""):
            return "", ""
        return upstream.access_key_id, upstream.secret_access_key
