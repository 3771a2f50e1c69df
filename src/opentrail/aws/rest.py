# SPDX-License-Identifier: Apache-2.0
"""Which operation a REST request is for: path templates, required query names and headers.

Smithy 2.0, "HTTP bindings": labels match one segment, greedy labels (``{Key+}``) one or more,
literals win over labels. Where templates are equal, what the request must carry decides.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from opentrail.aws.request import RequestHead, Target

QUERY_FIELDS_MAX = 1000
"""Query parameters that are looked at: no operation has a tenth as many."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One operation's place in the URL space of its signing name."""

    target: Target
    method: str
    path: str
    """The template without its query."""
    literals: tuple[tuple[str, str], ...]
    """Query parameters that belong to the template; an empty value stands for any."""
    query_names: tuple[str, ...]
    """Query parameters that the operation requires."""
    headers: tuple[str, ...]
    """Headers that the operation requires, in lower case."""
    deprecated: bool
    operations: int
    """How many operations the service has."""
    endpoint_prefix: str

    @property
    def closed(self) -> bool:
        """Whether the template ends in a slash: clients keep it, and twins differ in it."""
        return self.path.endswith("/")

    @property
    def names(self) -> frozenset[str]:
        """The query parameters that tell the operation."""
        return frozenset((*(name for name, _ in self.literals), *self.query_names))

    def rank(self) -> tuple[bool, int, int, int, str]:
        """Order the routes that a request fits: the first is the likeliest."""
        demands = len(self.query_names) + len(self.headers)
        name = self.target.operation
        return (self.deprecated, -len(self.literals), -demands, -self.operations, name)


@dataclass(slots=True, eq=False)
class _Node:
    """The templates that begin alike."""

    literals: "dict[str, _Node]" = field(default_factory=dict)
    label: "_Node | None" = None
    greedy: list[tuple[tuple[str, ...], list[Route]]] = field(default_factory=list)
    """Literal segments after the greedy label, and the routes that end with them."""
    routes: list[Route] = field(default_factory=list)


class Router:
    """Finds the operation of a request among the routes of one signing name."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._roots: dict[str, _Node] = {}
        ranked = sorted(routes, key=Route.rank)
        self.telling = frozenset(name for route in ranked for name in route.names)
        """The query parameters that tell operations apart."""
        for route in ranked:
            _insert(self._roots.setdefault(route.method, _Node()), route)

    def find(self, head: RequestHead) -> Target | None:
        """Return the operation that ``head`` asks for, or None when no template fits.

        A request that lacks what its operation requires is still that operation, if no other
        fits: the service will answer with a validation error.
        """
        root = self._roots.get(head.method)
        if root is None:
            return None
        segments = split_path(head.path)
        host = head.headers.get("host", "")
        query = _query(head.query)
        incomplete: Target | None = None
        for routes in _matches(root, segments, 0):
            fits = [route for route in routes if _has_literals(route, query)]
            whole = [route for route in fits if _has_demands(route, query, head.headers)]
            if whole:
                closed = head.path.endswith("/")
                return _likeliest([r for r in whole if r.closed == closed] or whole, host)
            if fits and incomplete is None:
                incomplete = _likeliest(fits[::-1], host)
        return incomplete

    def rival(self, head: RequestHead, target: Target) -> str:
        """Return another operation that the query string of ``target``'s call names, too.

        One that needs a parameter which ``target`` does not; "" when there is none.
        """
        root = self._roots.get(head.method)
        query = _query(head.query)
        for routes in _matches(root, split_path(head.path), 0) if root is not None else ():
            fits = [r for r in routes if _has_literals(r, query)]
            names = next((r.names for r in fits if r.target.operation == target.operation), None)
            if names is not None:
                whole = (r for r in fits if _has_demands(r, query, head.headers))
                return next((r.target.operation for r in whole if r.names - names), "")
        return ""


def plain_path(path: str) -> str:
    """Return a path without empty segments and those made of dots, as many servers read it.

    Some decode slashes before they look for segments.
    """
    kept: list[str] = []
    for segment in path.replace("%2f", "/").replace("%2F", "/").split("/"):
        dots = segment.replace("%2e", ".").replace("%2E", ".")
        if dots == "..":
            del kept[-1:]
        elif dots not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept)


def split_path(path: str) -> list[str]:
    """Return the segments of a raw path; a closing slash makes an empty last one."""
    return path[1:].split("/")


def template_segments(template: str) -> list[str]:
    """Return the segments of a path template; a closing slash means nothing."""
    return [segment for segment in template.split("/") if segment]


def _insert(root: _Node, route: Route) -> None:
    node = root
    segments = template_segments(route.path)
    for at, segment in enumerate(segments):
        if segment.endswith("+}"):
            _insert_greedy(node, tuple(segments[at + 1 :]), route)
            return
        if segment.startswith("{"):
            node.label = node.label or _Node()
            node = node.label
        else:
            node = node.literals.setdefault(segment, _Node())
    node.routes.append(route)


def _insert_greedy(node: _Node, tail: tuple[str, ...], route: Route) -> None:
    for known, routes in node.greedy:
        if known == tail:
            routes.append(route)
            return
    node.greedy.append((tail, [route]))
    node.greedy.sort(key=lambda entry: -len(entry[0]))


def _matches(node: _Node, segments: Sequence[str], at: int) -> Iterator[Sequence[Route]]:
    """Yield what the rest of the path fits, literals before labels before greedy labels."""
    left = len(segments) - at
    if left == 0 or (left == 1 and not segments[at]):
        yield node.routes
        return
    segment = segments[at]
    child = node.literals.get(segment)
    if child is None and "%" in segment:
        child = node.literals.get(unquote(segment))
    if child is not None:
        yield from _matches(child, segments, at + 1)
    if node.label is not None and segment:
        yield from _matches(node.label, segments, at + 1)
    for tail, routes in node.greedy:
        if left > len(tail) and tuple(segments[len(segments) - len(tail) :]) == tail:
            yield routes


def _query(text: str) -> Mapping[str, str]:
    if not text:
        return {}
    fields = text.split("&", QUERY_FIELDS_MAX)[:QUERY_FIELDS_MAX]
    return dict(parse_qsl("&".join(fields), keep_blank_values=True))


def _has_literals(route: Route, query: Mapping[str, str]) -> bool:
    return all(
        name in query and (not value or query[name] == value) for name, value in route.literals
    )


def _has_demands(route: Route, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    return all(name in query for name in route.query_names) and all(
        name in headers for name in route.headers
    )


def _likeliest(routes: Sequence[Route], host: str) -> Target:
    """Return the first of ``routes``, unless an equal one serves ``host``.

    Twins that nothing in the request tells apart live under different host names at AWS.
    """
    first = routes[0]
    for route in routes:
        if route.literals != first.literals:
            break
        if host.startswith(route.endpoint_prefix + "."):
            return route.target
    return first.target
