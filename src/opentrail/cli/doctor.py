# SPDX-License-Identifier: Apache-2.0
"""``opentrail doctor``: find what is wrong with a set-up, and say the fix."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import botocore.session
import click
from botocore import exceptions as driver
from botocore.config import Config

from opentrail.capture.channel import Channel, Unreachable
from opentrail.capture.dial import UpstreamSettings, Way
from opentrail.cli.colour import coloured
from opentrail.cli.env import eval_command
from opentrail.cli.exits import EXIT_NO
from opentrail.cli.options import (
    Command,
    settings_of,
    settings_options,
    shared_flags,
    upstream_flags,
    upstream_option,
)
from opentrail.cli.probe import ask, no_answer, not_done, other_log, url_of
from opentrail.cli.trails_here import trails_here
from opentrail.cli.verify_target import Place, buckets_of
from opentrail.clock import SystemClock
from opentrail.config import Settings, split_address
from opentrail.errors import ClientError, Corrupt, OpenTrailError, Unavailable, UsageError
from opentrail.event.safe import safe
from opentrail.eventlog.lock import NAME as LOCK_NAME
from opentrail.eventlog.reader import SegmentReader
from opentrail.front.keys import credentials_file, key_file
from opentrail.front.upstreams import stated_upstreams
from opentrail.objects.table import BucketTable

CONNECT_S = 3.0
MIB = 1024 * 1024


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "look"
    BAD = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check."""

    check: str
    verdict: Verdict
    found: str
    fix: str = ""
    """What to do, where something is wrong."""


@click.command("doctor", cls=Command)
@settings_options
@upstream_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(
    config: Path | None, upstreams: tuple[str, ...], *, as_json: bool, **flags: str | None
) -> None:
    """Find what is wrong with a set-up, and say how to mend it.

    The settings, the data directory, the disk, the server, this shell's AWS settings (endpoint,
    proxy, keys, clock, certificates), the upstreams, and the buckets of trails. It changes nothing.
    Exit code 1 when something is wrong.

      opentrail doctor
      eval "$(opentrail env)"; opentrail doctor --upstream http://localhost:5000
    """
    try:
        settings = settings_of(config, {**shared_flags(flags), **upstream_flags(upstreams)})
    except UsageError as error:
        findings = [Finding("settings", Verdict.BAD, str(error), "mend the settings file")]
    else:
        findings = [
            Finding("settings", Verdict.OK, "can be read"),
            *_findings(settings, os.environ),
        ]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings]))
    else:
        for each in findings:
            text = f"{each.verdict.value:<6}{each.check:<11}{safe(each.found)}"
            click.echo(coloured(text, _COLOURS[each.verdict]))
            if each.fix:
                click.echo(f"      -> {safe(each.fix)}")
    if any(each.verdict is Verdict.BAD for each in findings):
        sys.exit(EXIT_NO)


_COLOURS = {Verdict.OK: None, Verdict.WARN: "yellow", Verdict.BAD: "red"}


def _findings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    yield from _tried("data", lambda: [_data(settings)])
    yield from _tried("disk", lambda: _disk(settings))
    server = _server(settings)
    yield server
    yield from _upstreams(settings)
    yield _endpoint(settings, environ)
    yield _proxy(settings, environ)
    if server.verdict is not Verdict.BAD:
        yield _keys(settings)
    yield from _tried("bucket", lambda: _buckets(settings))


def _tried(check: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what ``look`` finds; that it could not look is a finding, and the others go on."""
    try:
        yield from look()
    except (Corrupt, Unavailable) as error:
        yield Finding(check, Verdict.BAD, error.message, error.hint)
    except PermissionError as error:
        fix = "run it as the server's user, or mend the permissions"
        yield Finding(check, Verdict.BAD, f"{error.filename} cannot be read by you", fix)


def _data(settings: Settings) -> Finding:
    data = settings.data_dir
    if not (data / "log").is_dir():
        fix = "start opentrail serve once, or name the server's directory with --data"
        return Finding("data", Verdict.BAD, f"there is no log in {data}", fix)
    with closing(SegmentReader(data / "log")) as log:
        next(log.entries(log.first()), None)
    wrong = [path.name for path in (data, data / LOCK_NAME) if not os.access(path, os.W_OK)]
    if wrong:
        fix = "run it as the server's user, or mend the permissions"
        return Finding("data", Verdict.WARN, f"{data} cannot be written by you", fix)
    open_files = [
        path.name
        for path in (credentials_file(settings), key_file(settings), data / "keys")
        if path.exists() and path.stat().st_mode & 0o077
    ]
    if open_files:
        fix = "chmod go-rwx them: they hold secrets"
        return Finding("data", Verdict.BAD, f"others can read {', '.join(open_files)}", fix)
    return Finding("data", Verdict.OK, str(data))


def _disk(settings: Settings) -> Iterator[Finding]:
    if not settings.data_dir.is_dir():
        return
    free, reserve = shutil.disk_usage(settings.data_dir).free, settings.log.disk_reserve_bytes
    found = f"{free // MIB:,} MiB free, calls are refused below {reserve // MIB:,} MiB"
    if free < reserve:
        yield Finding("disk", Verdict.BAD, found, "make room, or lower log.disk_reserve_bytes")
    elif free < 2 * reserve:
        yield Finding("disk", Verdict.WARN, found, "make room soon")
    else:
        yield Finding("disk", Verdict.OK, found)


def _server(settings: Settings) -> Finding:
    answer = ask(settings, "health")
    url = url_of(settings)
    if not answer.status:
        fix = "start opentrail serve, or give what it was given: --listen, --config"
        if "certificate" in answer.why:
            fix = "put one that is valid into listen.tls_cert: the server takes it up by itself"
        if "timed out" in answer.why:
            fix = "see its own log, and start it again; or whether a firewall is in between"
        return Finding("server", Verdict.BAD, no_answer(settings, answer), fix)
    said = answer.json()
    if "status" not in said:
        fix = "something else listens there: choose another address with --listen"
        return Finding("server", Verdict.BAD, f"{url} is no OpenTrail", fix)
    # Of a log that cannot be read the data directory's finding tells.
    with suppress(Unavailable, Corrupt, OSError):
        if other := other_log(settings, answer):
            fix = "name that server's directory with --data, or this one's server with --listen"
            return Finding("server", Verdict.BAD, other, fix)
    if said["status"] == "ok":
        return Finding("server", Verdict.OK, url)
    log = said.get("log")
    refuses = log.get("refuses") if isinstance(log, dict) else None
    why = [str(refuses)] if refuses else [f"back: {each}" for each in not_done(said)]
    found = f"{url} is {said['status']}" + (f": {'; '.join(why)}" if why else "")
    return Finding("server", Verdict.BAD, found, "see docs/operating.md, and the server's own log")


def _upstreams(settings: Settings) -> Iterator[Finding]:
    if not settings.upstream:
        found = "none that is known here: without one every call is answered with 503"
        fix = "give doctor the --upstream that serve was given, or name it under [upstream]"
        yield Finding("upstream", Verdict.WARN, found, fix)
    for name, upstream in stated_upstreams(settings).items():
        found, why = f"{name} at {upstream.url}", _unreachable(upstream)
        if upstream.proxy:
            found += f" through {upstream.proxy}"
        if why:
            fix = "start it, or mend its url, ca, client_cert or proxy"
            yield Finding("upstream", Verdict.BAD, f"{found}: {why}", fix)
        else:
            yield Finding("upstream", Verdict.OK, found)


def _unreachable(upstream: UpstreamSettings) -> str:
    """Return why no connection can be made as the server makes them, TLS included; "": it can."""

    async def knock() -> None:
        way = Way(upstream, CONNECT_S)
        channel = await way.dial(lambda: Channel(lambda _: None, lambda _: None))
        channel.abort()

    try:
        asyncio.run(knock())
    except UsageError as error:
        return str(error)
    except Unreachable as error:
        cause = error.__cause__
        return str(getattr(cause, "strerror", "") or cause or error.message)
    return ""


def _client(settings: Settings) -> str:
    return eval_command(settings, *split_address(settings.listen.address))


def _endpoint(settings: Settings, environ: Mapping[str, str]) -> Finding:
    """Whether this shell's clients go through OpenTrail."""
    url, given = url_of(settings), environ.get("AWS_ENDPOINT_URL", "")
    fix = _client(settings)
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        found = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true: clients ignore the endpoint"
        return Finding("endpoint", Verdict.BAD, found, "unset it")
    if not given:
        return Finding("endpoint", Verdict.WARN, "AWS_ENDPOINT_URL is not set in this shell", fix)
    if given.rstrip("/") != url:
        return Finding("endpoint", Verdict.WARN, f"AWS_ENDPOINT_URL is {given}, not {url}", fix)
    others = [
        name
        for name, value in environ.items()
        if name.startswith("AWS_ENDPOINT_URL_") and value.rstrip("/") != url
    ]
    if others:
        found = f"{', '.join(sorted(others))} lead calls of these services elsewhere"
        return Finding("endpoint", Verdict.WARN, found, "unset them to have these calls recorded")
    return Finding("endpoint", Verdict.OK, given)


def _proxy(settings: Settings, environ: Mapping[str, str]) -> Finding:
    """Whether a proxy would be asked for OpenTrail's address."""
    parts = urlsplit(url_of(settings))
    proxies = getproxies()
    proxied = parts.scheme in proxies and not proxy_bypass(parts.hostname or "")
    if proxied and environ:
        proxy = proxies[parts.scheme].rpartition("@")[2]  # its password is nobody's business
        found = f"calls to {parts.hostname} would go to the proxy {proxy}"
        return Finding("proxy", Verdict.BAD, found, f"add {parts.hostname} to NO_PROXY")
    return Finding("proxy", Verdict.OK, "none in between")


class _CloudTrail(Protocol):
    def lookup_events(self, **arguments: object) -> object: ...


def _keys(settings: Settings) -> Finding:
    """Whether this shell's key may ask CloudTrail's API of this server."""
    try:
        session = botocore.session.Session()
        if session.get_credentials() is None:
            fix = f"{_client(settings)}, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            return Finding("keys", Verdict.WARN, "this shell has no AWS credentials", fix)
        made = session.create_client(
            "cloudtrail",
            region_name=settings.region,
            endpoint_url=url_of(settings),
            config=Config(connect_timeout=CONNECT_S, retries={"total_max_attempts": 1}, proxies={}),
        )
        cast("_CloudTrail", made).lookup_events(MaxResults=1)
    except driver.ClientError as error:
        return Finding("keys", Verdict.BAD, str(error), _key_fix(settings, str(error)))
    except driver.SSLError as error:
        fix = (
            f"{_client(settings)} sets AWS_CA_BUNDLE, if listen.tls_ca names the file with the"
            " authority that signed the server's certificate"
        )
        return Finding("keys", Verdict.BAD, f"the certificate is not trusted: {error}", fix)
    except driver.BotoCoreError as error:
        return Finding("keys", Verdict.BAD, str(error), "mend this shell's AWS settings")
    return Finding("keys", Verdict.OK, "LookupEvents answers this shell's key")


_KEY_FIXES = (
    ("expired", "set this machine's clock and the server's by NTP, or get new session credentials"),
    ("not yet current", "set this machine's clock and the server's by NTP"),
    ("Signature", "the secret key is not the one of that key id: set both again"),
    ("AccessDenied", "give the key a policy: access_keys.KEYID.policies"),
)
"""What a refusal says -> what to do; the first that fits."""


def _key_fix(settings: Settings, said: str) -> str:
    known = f"use a key that the server knows: {_client(settings)}"
    return next((fix for word, fix in _KEY_FIXES if word in said), known)


def _buckets(settings: Settings) -> Iterator[Finding]:
    """Whether the bucket of each trail can be reached."""
    with trails_here(settings) as here:
        names = {trail.bucket for trail in here.trails()} if here is not None else set()
    place = Place(settings, SystemClock(), "", "")
    for name in sorted(names):
        yield _bucket(name, buckets_of(place, name))


def _bucket(name: str, buckets: BucketTable) -> Finding:
    try:
        buckets.find(name).acl_readable()
    except ClientError as error:
        fix = "make the bucket, or let its policy allow GetBucketAcl and PutObject"
        return Finding("bucket", Verdict.BAD, f"{name}: {error}", fix)
    except OpenTrailError as error:
        fix = "see [buckets.NAME] in the settings, and whether its endpoint runs"
        return Finding("bucket", Verdict.BAD, f"{name}: {error}", fix)
    return Finding("bucket", Verdict.OK, name)
