# SPDX-License-Identifier: Apache-2.0
"""The services by what a request may name them by: signing name, target prefix, host, version."""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import parse_qsl

import msgspec

from opentrail.aws import tables
from opentrail.aws.request import Target
from opentrail.aws.rest import Route, Router
from opentrail.aws.tables import ServiceRow

_EVENT_SOURCES = {
    # CloudTrail's documentation of each service and EventBridge's Events Reference ("Events"),
    # where it is not the signing name's.
    "application-insights": "application-insights.amazonaws.com",
    "chime-sdk-media-pipelines": "chime-sdk-media-pipelines.amazonaws.com",
    "chime-sdk-voice": "chime-sdk-voice.amazonaws.com",
    "cloudfront-keyvaluestore": "edgekeyvaluestore.amazonaws.com",
    "connect-contact-lens": "contact-lens.amazonaws.com",
    "connectparticipant": "participant-connect.amazonaws.com",
    "iotsecuretunneling": "iotsecuredtunneling.amazonaws.com",
    "marketplace-agreement": "agreement-marketplace.amazonaws.com",
    "marketplace-catalog": "marketplacecatalog.amazonaws.com",
    "marketplace-deployment": "deployment-marketplace.amazonaws.com",
    "marketplace-discovery": "discovery-marketplace.amazonaws.com",
    "marketplace-entitlement": "entitlement-marketplace.amazonaws.com",
    "marketplacecommerceanalytics": "marketplace-commerce-analytics.amazonaws.com",
    "meteringmarketplace": "metering-marketplace.amazonaws.com",
    "mgh": "migrationhub.amazonaws.com",
    "mq": "amazonmq.amazonaws.com",
    "pinpoint": "pinpoint.amazonaws.com",
    "pricing": "pricelist.amazonaws.com",
    "qconnect": "qconnect.amazonaws.com",
    "rds-data": "rdsdataapi.amazonaws.com",
    "sagemaker-metrics": "metrics-sagemaker.amazonaws.com",
    "servicecatalog-appregistry": "servicecatalog-appregistry.amazonaws.com",
    "sso": "sso.amazonaws.com",
}
_SIGNING_ALIASES = {"s3express": "s3", "s3-object-lambda": "s3"}
"""Signing names that no model has, and the one whose operations they sign."""
_ONLY_SIGNED = {("s3express", "ListBuckets"): "ListDirectoryBuckets"}
"""Signing name and operation -> what it is then: nothing else tells the two apart."""

HOST_LABELS_MAX = 3
"""Labels that an endpoint prefix has at most ("data.iot", "api.tunneling.iot")."""


class Group:
    """The services that share a signing name (nine of them ``sagemaker``)."""

    def __init__(self, services: Iterable[ServiceRow], *, unsigned_only: bool = False) -> None:
        # The larger service is the likelier one, wherever nothing else decides.
        self.services = tuple(sorted(services, key=lambda row: (-row.operations, row.service)))
        self.protocols = frozenset(p for row in self.services for p in row.protocols)
        self._unsigned_only = unsigned_only

    @functools.cached_property
    def router(self) -> Router:
        """The REST routes of all its services; empty when none is RESTful."""
        return Router(self._routes())

    @functools.cached_property
    def _by_target_prefix(self) -> Mapping[str, tuple[ServiceRow, ...]]:
        return _by_prefix_tail(self.services)

    def targeted(self, prefix: str, operation: str, protocol: str) -> Sequence[ServiceRow]:
        """Return its services whose X-Amz-Target begins with ``prefix``, or with its last part.

        Some servers look at the operation alone: where no service has the prefix, those that have
        the operation are meant.
        """
        return self._by_target_prefix.get(prefix_tail(prefix)) or [
            row
            for row in self.services
            if protocol in row.protocols and operation_named(row, operation)
        ]

    def default(self) -> ServiceRow:
        """Return the service that an unknown operation is put down to."""
        for row in self.services:
            if row.service == row.signing_name:
                return row
        return self.services[0]

    def unknown(self, name: str, protocol: str, json_version: str) -> Target:
        """Return the target of an operation that none of its services has."""
        row = self.default()
        found = target(row, name, protocol, json_version, known=False)
        if len(self.services) == 1 or row.service == row.signing_name:
            return found
        # Any of them may be meant, or none: your own APIs are signed as execute-api, too.
        return msgspec.structs.replace(found, event_source=f"{row.signing_name}.amazonaws.com")

    def _routes(self) -> Iterator[Route]:
        for row in self.services:
            if row.protocol.startswith("rest-"):
                names = row.unsigned if self._unsigned_only else tables.table(row.service).names()
                for name in names:
                    yield _route(row, name)


def _route(service: ServiceRow, name: str) -> Route:
    table = tables.table(service.service)
    row = table.operation(name)
    path, _, query = row.uri.partition("?")
    required = [m for m in table.shape(row.input).members if m.required] if row.input >= 0 else []
    return Route(
        target=target(service, name, service.protocol),
        method=row.method,
        path=path,
        literals=tuple(parse_qsl(query, keep_blank_values=True)),
        query_names=tuple(m.wire or m.name for m in required if m.location == "querystring"),
        headers=tuple((m.wire or m.name).lower() for m in required if m.location == "header"),
        deprecated=row.deprecated,
        operations=service.operations,
        endpoint_prefix=service.endpoint_prefix,
    )


def target(
    service: ServiceRow, name: str, protocol: str, json_version: str = "", *, known: bool = True
) -> Target:
    """Return the target for an operation ``name`` of ``service``."""
    return Target(
        service=service.service,
        event_source=event_source(service),
        operation=name,
        protocol=protocol,
        json_version=json_version or service.json_version or "1.1",
        known=known,
    )


def event_source(service: ServiceRow) -> str:
    """Return the record's eventSource: the signing name, but for a few services."""
    return _EVENT_SOURCES.get(service.service, f"{service.signing_name}.amazonaws.com")


def operation_named(service: ServiceRow, name: str) -> str:
    """Return the operation of ``service`` that ``name`` means; "" when the model has none.

    Some servers take names in any case, and with underscores.
    """
    if name in tables.table(service.service).names():
        return name
    return _folded(service.service).get(_fold(name), "")


def _fold(name: str) -> str:
    return name.replace("_", "").lower()


@functools.cache  # of services that are known, so they bound it
def _folded(service: str) -> Mapping[str, str]:
    return {_fold(name): name for name in tables.table(service).names()}


def is_query_compatible(service: str) -> bool:
    """Return whether ``service`` once spoke the query protocol and still names its errors so."""
    row = tables.services().get(service)
    return row is not None and row.query_compatible


def by_signing_name(name: str) -> Group | None:
    """Return the services that sign as ``name``, or None when no model knows the name."""
    return _groups().get(_SIGNING_ALIASES.get(name, name))


def signs_for(name: str, service: ServiceRow) -> bool:
    """Return whether what is signed as ``name`` may be a call of ``service``."""
    return _SIGNING_ALIASES.get(name, name) == service.signing_name


@functools.cache  # of services that are known, so they bound it
def alone(service: str) -> Group:
    """Return one service by itself. Raises: KeyError: there is no such service."""
    return Group((tables.services()[service],))


def is_alias(name: str) -> bool:
    """Return whether ``name`` signs another signing name's operations."""
    return name in _SIGNING_ALIASES


def as_signed(name: str, operation: str) -> str:
    """Return the operation that ``operation`` is where it is signed as ``name``."""
    return _ONLY_SIGNED.get((name, operation), operation)


def by_host(host: str) -> Group | None:
    """Return the services that AWS serves at ``host``, or None when it is not a host of AWS."""
    name, _, _port = host.partition(":")
    if not name.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
        return None
    return by_signing_name("s3") if _BUCKET_HOST.match(name) else by_labels(name)


_BUCKET_HOST = re.compile(r".+\.s3(?:express-[a-z0-9-]+|-[a-z]{2}-[a-z]+-\d)?\.")


def by_labels(name: str) -> Group | None:
    """Return the services whose endpoints' host names begin as ``name`` does, or None."""
    labels = name.split(".")[:HOST_LABELS_MAX]
    for count in range(len(labels), 0, -1):
        found = _by_endpoint_prefix().get(".".join(labels[:count]))
        if found is not None:
            return found
    return None


def by_target_prefix(prefix: str) -> tuple[ServiceRow, ...]:
    """Return the services whose X-Amz-Target begins with ``prefix``, or with its last part.

    CloudTrail's clients send "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101" or only what
    follows the last dot.
    """
    return _by_target_prefix().get(prefix_tail(prefix), ())


def prefix_tail(prefix: str) -> str:
    """Return what follows the last dot of an X-Amz-Target's prefix."""
    return prefix.rpartition(".")[2]


def by_version(version: str) -> tuple[ServiceRow, ...]:
    """Return the services of the query protocol that have the API version ``version``."""
    return _by_version().get(version, ())


@functools.cache
def unsigned() -> Group:
    """Return the operations that clients call without a signature, to route those over REST."""
    return Group((row for row in _rows() if row.unsigned), unsigned_only=True)


def takes_unsigned(target: Target) -> bool:
    """Return whether clients call the operation without a signature: its service looks at none."""
    row = tables.services().get(target.service)
    return row is not None and target.operation in row.unsigned


def _rows() -> tuple[ServiceRow, ...]:
    return tables.index().services


@functools.cache
def _groups() -> Mapping[str, Group]:
    return {name: Group(rows) for name, rows in _collect(_rows(), "signing_name").items()}


@functools.cache
def _by_endpoint_prefix() -> Mapping[str, Group]:
    return {name: Group(rows) for name, rows in _collect(_rows(), "endpoint_prefix").items()}


@functools.cache
def _by_target_prefix() -> Mapping[str, tuple[ServiceRow, ...]]:
    return _by_prefix_tail(_rows())


def _by_prefix_tail(rows: Iterable[ServiceRow]) -> Mapping[str, tuple[ServiceRow, ...]]:
    prefixes = _collect((row for row in rows if row.target_prefix), "target_prefix")
    found: dict[str, tuple[ServiceRow, ...]] = {}
    for prefix, named in prefixes.items():
        tail = prefix_tail(prefix)
        found[tail] = found.get(tail, ()) + named
    return found


@functools.cache
def _by_version() -> Mapping[str, tuple[ServiceRow, ...]]:
    forms = frozenset(("query", "ec2"))
    return _collect((row for row in _rows() if forms & set(row.protocols)), "api_version")


def _collect(rows: Iterable[ServiceRow], by: str) -> dict[str, tuple[ServiceRow, ...]]:
    found: dict[str, tuple[ServiceRow, ...]] = {}
    for row in rows:
        name: str = getattr(row, by)
        found[name] = (*found.get(name, ()), row)
    return found
