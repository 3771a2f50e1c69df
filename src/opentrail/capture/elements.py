# SPDX-License-Identifier: Apache-2.0
"""Shape parsed members as requestParameters and responseElements: names, times, redaction.

Source: CloudTrail User Guide, "CloudTrail record contents"; the service models' ``sensitive``
traits. A writer is made once for an operation and then only walks along values. What does not fit
its shape is left out: the service cannot have parsed it, and nobody knows what it holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from opentrail.aws.model import Member, Shape
from opentrail.capture.call import Call
from opentrail.capture.element_values import (
    LEFT_OUT,
    REDACTIONS,
    TIMES,
    Writer,
    as_sent,
    joined,
    scalar,
)
from opentrail.capture.rules import Casing, Redaction, Times

CREDENTIALS = frozenset({"SecretAccessKey", "secretAccessKey"})
"""Members that CloudTrail itself leaves out wherever they appear."""
SECRETS = frozenset(
    {
        "ADDomainJoinPassword",
        "APIKey",
        "ActivationCode",
        "ApiKey",
        "AuthCode",
        "AuthToken",
        "AuthorizedUrl",
        "BearerToken",
        "BillingToken",
        "ClientSecret",
        "ConfirmationCode",
        "ConnectionToken",
        "ContextAssertion",
        "Credential",
        "CrossRealmTrustPrincipalPassword",
        "HECToken",
        "HsmPartitionPassword",
        "KdcAdminPassword",
        "MasterUserPassword",
        "NotebookUrl",
        "OneTimePassword",
        "ParticipantToken",
        "Password",
        "Passwords",
        "PasswordVerifier",
        "PreCoPassword",
        "PreSharedKey",
        "PreSignedUrl",
        "PresignedURL",
        "PrivateKey",
        "ProcurementPortalSharedSecret",
        "SAMLAssertion",
        "SecretKey",
        "SecretToken",
        "ServiceAccountPassword",
        "ServiceJson",
        "SessionToken",
        "SignedToken",
        "SignedUrl",
        "StreamUrl",
        "StreamingURL",
        "TdeCredentialPassword",
        "TokenKey",
        "TokenValue",
        "UserData",
        "VerificationCode",
        "accessToken",
        "activationCode",
        "apiToken",
        "authCode",
        "authorizationApiKeyValue",
        "authorizationCode",
        "cak",
        "certificatePrivateKey",
        "deviceCode",
        "grafanaToken",
        "presignedUrl",
        "refreshToken",
        "secretKey",
        "sessionToken",
        "streamUrl",
        "userData",
        "userDataOverride",
        "webhookUrl",
    }
)
"""Members, by model name, that let in whoever has them, and what an instance runs at its start, which
may hold anything: hidden wherever they appear, for not every model marks them (DocumentDB's copy of
RDS's MasterUserPassword is not marked)."""

Object = dict[str, object]
Finish = Callable[[Object, Call], Object]
"""Adds to an element what the call itself says: its host, its request id."""


@dataclass(frozen=True, slots=True)
class Style:
    """How one operation's elements are written."""

    casing: Casing
    times: Times
    redaction: Redaction = Redaction.HIDDEN
    hide: frozenset[str] = frozenset()
    """Members, by model name at any depth, shown as hidden."""
    secret_keys: frozenset[str] = frozenset()
    """Keys of maps at any depth whose values are shown as hidden."""
    drop: frozenset[str] = frozenset()
    """Members, by model name at any depth, left out."""
    by_path: bool = False
    """Whether members in the path are called as the path's template calls them."""
    by_query: bool = False
    """Whether members in the query are called as the query calls them."""
    spelling: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Members, by model name at any depth, that have a name of their own in the record."""

    def spell(self, name: str) -> str:
        """Return a member's name as the record has it."""
        own = self.spelling.get(name)
        if own is not None:
            return own
        return name if self.casing is Casing.RAW else name[:1].lower() + name[1:]


class Structure:
    """Writes the members of a structure, in model order."""

    __slots__ = ("members", "shares")

    def __init__(self) -> None:
        self.members: dict[str, tuple[str, Writer]] = {}
        """Model name -> name in the record, writer; what is always left out is not here."""
        self.shares = False
        """Whether two of them have one name in the record."""

    def add(self, name: str, spelling: str, write: Writer) -> None:
        """Add a member."""
        self.shares = self.shares or any(spelling == known for known, _ in self.members.values())
        self.members[name] = spelling, write

    def __call__(self, value: object) -> object:
        """Return the record's object; members that are absent or null stay absent."""
        if type(value) is not dict:
            return LEFT_OUT
        shown: Object = {}
        for name in filter(value.__contains__, self.members):
            member = value[name]
            if member is None:
                continue
            spelling, write = self.members[name]
            written = member if write is scalar and type(member) is str else write(member)
            if written is not LEFT_OUT:
                before = shown.get(spelling) if self.shares else None
                shown[spelling] = written if before is None else joined(before, written)
        return shown


class Elements:
    """Writes a JSON array of what a list has."""

    __slots__ = ("member",)

    def __init__(self) -> None:
        self.member: Writer = scalar

    def __call__(self, value: object) -> object:
        """Return the array."""
        found = self.written(value)
        return LEFT_OUT if found is None else found

    def opened(self, shown: object) -> tuple[list[str], list[object]]:
        """Take apart what a call gives: the keys around the elements, and the elements."""
        return [], shown if isinstance(shown, list) else []

    def written(self, value: object) -> list[object] | None:
        """Return what is shown of each element; None when ``value`` is no list."""
        if type(value) is not list:
            return None
        write = self.member
        return [
            written
            for item in value
            if (written := None if item is None else write(item)) is not LEFT_OUT
        ]


class Entries:
    """Writes a map: its keys are data and stay as they are."""

    __slots__ = ("member", "secret_keys")

    def __init__(self, secret_keys: frozenset[str]) -> None:
        self.member: Writer = scalar
        self.secret_keys = secret_keys

    def __call__(self, value: object) -> object:
        """Return the object."""
        if type(value) is not dict:
            return LEFT_OUT
        write = self.member
        shown = {
            key: written
            for key, item in value.items()
            if (written := None if item is None else write(item)) is not LEFT_OUT
        }
        if self.secret_keys:
            shown |= dict.fromkeys(self.secret_keys & shown.keys(), Redaction.HIDDEN.value)
        return shown


@dataclass(frozen=True, slots=True)
class Element:
    """How requestParameters or responseElements of one operation are made."""

    write: Structure
    finish: Finish | None = None
    """Applied to what ``write`` gives, also to nothing at all."""
    envelope: str = ""
    """The one key around everything, where there is one."""
    inside: str = ""
    """The one member whose members are shown, where the rest is only wrapping."""
    added: frozenset[str] = frozenset()
    """Keys that ``finish`` may add."""

    @property
    def needs(self) -> list[str]:
        """The top-level members, by model name, that are shown or wrap what is."""
        return [self.inside] if self.inside else list(self.write.members)

    def __call__(self, members: Mapping[str, object] | None, call: Call) -> object:
        """Return the object, an empty one when there is nothing to say.

        ``members`` is None when they could not be read: then nothing is said of them.
        """
        if members is None:
            return {}
        written = self.write(members.get(self.inside) if self.inside else members)
        shown = written if isinstance(written, dict) else {}
        return shown if self.finish is None else self.finish(shown, call)


class Compiler:
    """Makes writers for one style; a shape that contains itself is made once."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self._made: dict[Shape, Writer | None] = {}
        self._redacted = REDACTIONS[style.redaction]

    def top(self, shape: Shape, keep: frozenset[str] | None) -> Structure:
        """Return the writer of an operation's input or output.

        ``keep`` says which members stay (by model name; None: all).
        """
        made = Structure()
        for member in shape.members.values():
            if keep is None or member.name in keep:
                self.add(made, member)
        return made

    def add(self, made: Structure, member: Member) -> None:
        """Add a member to a structure, unless it is never recorded."""
        write = self.member(member)
        if write is not None:
            made.add(member.name, self.spell(member), write)

    def spell(self, member: Member) -> str:
        """Return the name of a structure's member in the record."""
        in_path = self.style.by_path and member.location == "uri"
        in_query = self.style.by_query and member.location == "querystring"
        return self.style.spell(member.wire if in_path or in_query else member.name)

    def member(self, member: Member) -> Writer | None:
        """Return the writer of a structure's member; None when it is never recorded."""
        if member.name in self.style.drop or member.name in CREDENTIALS:
            return None
        if member.name in SECRETS:
            return self._redacted
        if member.name in self.style.hide:
            return self._redacted or REDACTIONS[Redaction.HIDDEN]
        if member.shape.kind == "list" and not member.shape.sensitive:
            return self._collection(member.shape, self.list_of(member), "member", member)
        return self.shape(member.shape)

    def list_of(self, member: Member) -> Elements:
        """Return an unfinished writer of the list that ``member`` is."""
        del member
        return Elements()

    def item(self, member: Member | None, write: Writer) -> Writer:
        """Return the writer of one element of the list ``member`` (None: a list in a list)."""
        del member
        return write

    def shape(self, shape: Shape) -> Writer | None:
        """Return the writer of ``shape``; None when it is never recorded."""
        if shape.sensitive:
            return self._redacted if shape.kind != "blob" else None
        if shape.kind == "blob" or shape.streaming or shape.event_stream:
            return None
        if shape.document:
            return as_sent
        return TIMES[self.style.times] if shape.kind == "timestamp" else self._plain(shape)

    def _plain(self, shape: Shape) -> Writer | None:
        if shape.kind == "structure":
            return self._structure(shape)
        if shape.kind == "list":
            return self._collection(shape, Elements(), "member", None)
        if shape.kind == "map":
            secret = shape.members["key"].shape.sensitive
            made = Entries(self.style.secret_keys)
            return self._redacted if secret else self._collection(shape, made, "value", None)
        return scalar

    def _structure(self, shape: Shape) -> Writer | None:
        if shape in self._made:
            return self._made[shape]
        made = Structure()
        self._made[shape] = made
        for member in shape.members.values():
            self.add(made, member)
        return made

    def _collection(
        self, shape: Shape, made: Elements | Entries, name: str, of: Member | None
    ) -> Writer | None:
        """Finish ``made``; a list is made anew for each member, for its place may name it."""
        if of is None:
            if shape in self._made:
                return self._made[shape]
            self._made[shape] = made
        inner = self.shape(shape.members[name].shape)
        if inner is None:
            self._made[shape] = None
            return None
        made.member = self.item(of, inner)
        return made
