# SPDX-License-Identifier: Apache-2.0
"""Buckets by name: a configured directory or endpoint, else the upstream's S3, else a directory."""

import importlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

from opentrail.clock import Clock
from opentrail.objects.base import Bucket
from opentrail.objects.localdir import LocalDir
from opentrail.objects.names import check_name
from opentrail.objects.s3ask import Where, is_direct, key_of_environment
from opentrail.objects.setting import BucketSetting, Upstream, check


class _AtEndpoints(Protocol):
    """``objects.s3buckets.S3Buckets``, which is loaded when it is needed."""

    def find(self, name: str, setting: BucketSetting) -> Bucket: ...

    def where(self, setting: BucketSetting) -> Where | None: ...


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

        Whether there are the profiles that settings name is looked at when a bucket is asked for: one
        that is not there yet, or for a moment, must not hold up other buckets.
        Raises: UsageError: a setting that cannot be meant.
        """
        for name, setting in settings.items():
            check(name, setting)
        self._settings = settings
        self._dir = buckets_dir
        self._clock = clock
        self._region = region
        self._upstream = upstream
        self._found: dict[str, Bucket] = {}
        self._at_endpoints: _AtEndpoints | None = None
        self._finding = threading.Lock()

    def find(self, name: str) -> Bucket:
        """See ``Buckets``. Raises: ClientError InvalidBucketName. Unavailable: a setting is bad."""
        directory = self.directory(name)
        if directory is not None:
            return directory
        with self._finding:
            if name not in self._found:
                setting = self._settings.get(name) or self._default()
                self._found[name] = self._endpoints().find(name, setting)
            return self._found[name]

    def where(self, name: str) -> Where | None:
        """Return where ``S3Get`` finds a bucket at an S3 endpoint; None: only ``find`` does.

        Raises: Unavailable: the shared files cannot be used.
        """
        setting = self._settings.get(name) or self._default()
        if setting.addressing == "virtual":
            return None
        key = None if setting.credentials_profile else key_of_environment()
        if key is None or not setting.endpoint:
            with self._finding:
                return self._endpoints().where(setting)
        region = setting.region or self._region
        return (
            Where(setting.endpoint, region, key, setting.ca)
            if is_direct(setting.endpoint)
            else None
        )

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

    def _endpoints(self) -> _AtEndpoints:
        """Return what knows buckets at S3 endpoints: it takes a third of a second to load."""
        if self._at_endpoints is None:
            module = importlib.import_module("opentrail.objects.s3buckets")
            made = module.S3Buckets(self._clock, self._region, self._upstream)
            self._at_endpoints = cast("_AtEndpoints", made)
        return self._at_endpoints


def check_profile(profile: str) -> None:
    """Raise UsageError for a profile that is not there: "" needs none."""
    if profile:
        importlib.import_module("opentrail.objects.driver").check_profile(profile)
