# SPDX-License-Identifier: Apache-2.0
"""Buckets by name: a configured directory or endpoint, else the upstream's S3, else a directory."""

import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import botocore.session
from botocore import exceptions as driver
from botocore.credentials import ReadOnlyCredentials

from opentrail.clock import Clock
from opentrail.errors import UsageError
from opentrail.objects.base import Bucket
from opentrail.objects.driver import ClientSpec, credentials_of, has_credentials, make_client
from opentrail.objects.localdir import LocalDir
from opentrail.objects.names import check_name
from opentrail.objects.s3 import ObjectLock, S3Bucket, S3Client
from opentrail.objects.s3get import Where
from opentrail.objects.setting import BucketSetting, check


class _Meta(Protocol):
    endpoint_url: str
    region_name: str


class _WithMeta(Protocol):
    """What else of botocore's client is read."""

    meta: _Meta


@dataclass(frozen=True, slots=True)
class Upstream:
    """The S3 behind OpenTrail, for buckets that are not configured."""

    endpoint: str
    """URL; empty: AWS's own."""
    credentials_profile: str = ""
    access_key_id: str = ""
    """Used when botocore's usual search finds no credentials: an emulator takes any."""
    secret_access_key: str = field(default="", repr=False)


class BucketTable:
    """``objects.base.Buckets``. Safe from several threads."""

    def __init__(
        self,
        settings: Mapping[str, BucketSetting],
        buckets_dir: Path,
        clock: Clock,
        region: str,
        upstream: Upstream | None = None,
    ) -> None:
        """``buckets_dir`` is where buckets that are directories by default are made.

        Raises: UsageError: a setting that cannot be meant.
        """
        for name, setting in settings.items():
            check(name, setting)
            check_profile(setting.credentials_profile)
        check_profile(upstream.credentials_profile if upstream else "")
        self._settings = settings
        self._dir = buckets_dir
        self._clock = clock
        self._region = region
        self._upstream = upstream
        self._found: dict[str, Bucket] = {}
        self._clients: dict[BucketSetting, S3Client] = {}
        self._finding = threading.Lock()

    def find(self, name: str) -> Bucket:
        """See ``Buckets``. Raises: ClientError InvalidBucketName. Unavailable: a setting is bad."""
        directory = self.directory(name)
        if directory is not None:
            return directory
        with self._finding:
            if name not in self._found:
                setting = self._settings.get(name) or self._default()
                days, mode = setting.object_lock_days, setting.object_lock_mode
                lock = ObjectLock(mode, days, self._clock) if days else None
                client = self._client(setting)
                self._found[name] = S3Bucket(client, name, setting.encryption, lock)
            return self._found[name]

    def where(self, name: str) -> Where | None:
        """Return where ``S3Get`` finds a bucket at an S3 endpoint; None: only ``find`` does.

        Raises: Unavailable: the shared files cannot be used.
        """
        setting = self._settings.get(name) or self._default()
        meta = cast("_WithMeta", self._client(setting)).meta
        scheme = meta.endpoint_url.partition("://")[0]
        if setting.addressing == "virtual" or scheme in urllib.request.getproxies():
            return None
        key_id, secret = _fallback(setting, self._upstream)
        if key_id and secret:
            known: ReadOnlyCredentials | None = ReadOnlyCredentials(key_id, secret, None)
        else:
            known = credentials_of(setting.credentials_profile)
        return known and Where(meta.endpoint_url, meta.region_name, known, setting.ca)

    def directory(self, name: str) -> LocalDir | None:
        """Return the directory bucket of that name; None: it is at an S3 endpoint.

        Raises: ClientError InvalidBucketName.
        """
        check_name(name)
        setting = self._settings.get(name)
        configured = setting is not None and setting.directory
        if not configured and (setting is not None or self._upstream is not None):
            return None
        with self._finding:
            found = self._found.get(name)
            if not isinstance(found, LocalDir):
                path = Path(setting.directory) if setting and configured else self._dir / name
                found = LocalDir(path, name, self._clock, create=not configured)
                self._found[name] = found
            return found

    def _default(self) -> BucketSetting:
        assert self._upstream is not None
        endpoint, profile = self._upstream.endpoint, self._upstream.credentials_profile
        return BucketSetting(endpoint=endpoint, credentials_profile=profile)

    def _client(self, setting: BucketSetting) -> S3Client:
        """Return the client of an endpoint: making one takes a tenth of a second and memory."""
        client = self._clients.get(setting)
        if client is None:
            client = _make_client(setting, setting.region or self._region, self._upstream)
            self._clients[setting] = client
        return client


def _make_client(setting: BucketSetting, region: str, upstream: Upstream | None) -> S3Client:
    """Return a client that asks nothing else than ``setting`` says.

    Raises: Unavailable: the shared files or the endpoint cannot be used.
    """
    spec = ClientSpec(
        "s3",
        region,
        setting.endpoint,
        setting.credentials_profile,
        setting.ca,
        setting.addressing,
        (*_fallback(setting, upstream), ""),
    )
    return cast("S3Client", make_client(spec))


def _fallback(setting: BucketSetting, upstream: Upstream | None) -> tuple[str, str]:
    """Return the upstream's own key where nothing else was configured to sign with."""
    if upstream is None or setting.endpoint != upstream.endpoint or setting.credentials_profile:
        return "", ""
    if not upstream.access_key_id or has_credentials(""):
        return "", ""
    return upstream.access_key_id, upstream.secret_access_key


def check_profile(profile: str) -> None:
    """Raise UsageError for a profile that is not there: at start, not when it is first needed."""
    if not profile:
        return
    try:
        botocore.session.Session(profile=profile).get_scoped_config()
    except driver.BotoCoreError as error:
        raise UsageError(f"credentials profile {profile}: {error}") from error
