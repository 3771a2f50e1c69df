# SPDX-License-Identifier: Apache-2.0
"""Secrets that an error message quotes.

"Value 'hunter2' at 'masterUserPassword' failed to satisfy constraint": the request says which texts
are secret, and the message is searched for them.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from opentrail.aws.fault import MESSAGE_CHARS_MAX
from opentrail.aws.model import Operation, Shape
from opentrail.aws.protocol import request_members
from opentrail.aws.request import RequestHead
from opentrail.capture.call import Call, plain
from opentrail.capture.rules import Redaction
from opentrail.event.quoted import quotations

SECRET_CHARS_MIN = 4
"""Shorter texts are not looked for: they stand in any sentence, and guessing them is no work."""
SECRETS_MAX = 1000
"""Texts of one request that are looked for: more are in no request that one error is about."""

_WORD = re.compile(r"""[^\s"'{}\[\]<>:,;=&]+""")
_SIGNED = ("x-amz-signature=", "x-amz-security-token=", "signature=")


def without_echoes(
    message: str, call: Call, operation: Operation | None, names: frozenset[str]
) -> str:
    """Return an error's message without what is secret in its request.

    ``names`` are the members, by model name at any depth, that are secret though the model does not
    say so.
    """
    found = {text for text in _of_head(call.head) if len(text) >= SECRET_CHARS_MIN}
    if operation is not None and operation.input is not None:
        for text in _of_request(operation, operation.input, call, names, message):
            if len(found) >= SECRETS_MAX:
                break
            if len(text) >= SECRET_CHARS_MIN:
                found.add(text)
    quoted = {form for text in found for form in quotations(text, message)}
    for text in sorted(quoted, key=len, reverse=True):
        message = _hidden(message, text)
    return message


def _hidden(message: str, secret: str) -> str:
    """Hide a secret; also one of which a message that was cut off has only the beginning."""
    shown = message.replace(secret, Redaction.HIDDEN.value)
    if len(message) < MESSAGE_CHARS_MAX:
        return shown
    start = secret[:SECRET_CHARS_MIN]
    at = shown.find(start, max(len(shown) - len(secret), 0))
    while at >= 0:
        if secret.startswith(shown[at:]):
            return shown[:at] + Redaction.HIDDEN.value
        at = shown.find(start, at + 1)
    return shown


def _of_head(head: RequestHead) -> Iterator[str]:
    """Yield what proves in head and query who calls: signatures, tokens."""
    yield head.headers.get("x-amz-security-token", "")
    yield head.headers.get("x-amz-signature", "")  # of a form
    scheme, _, rest = head.headers.get("authorization", "").partition(" ")
    yield rest.rpartition("Signature=")[2].rpartition(":")[2] if scheme else ""
    for pair in head.query.split("&") if "=" in head.query else ():
        if pair.lower().startswith(_SIGNED):
            value = pair.partition("=")[2]
            yield value
            yield unquote(value)


def _of_request(
    operation: Operation, shape: Shape, call: Call, names: frozenset[str], message: str
) -> Iterator[str]:
    body = plain(call.request, call.head.headers).data
    members = request_members(operation, call.head, body)
    if members is not None:
        yield from _secrets(shape, members, names, secret=False)
        return
    # Which of its words are secret cannot be told; there may be very many, of which few are quoted.
    starts = {message[at : at + SECRET_CHARS_MIN] for at in range(len(message))}
    escapes = any(sign in message for sign in "\\%+")
    for word in dict.fromkeys(_WORD.findall(body.decode(errors="replace"))):
        forms = quotations(word, message) if escapes else (word,)
        if not starts.isdisjoint([form[:SECRET_CHARS_MIN] for form in forms]):
            yield word


def _secrets(shape: Shape, value: object, names: frozenset[str], *, secret: bool) -> Iterator[str]:
    """Yield the secret texts and numbers in a value of ``shape``, as a message has them."""
    secret = secret or shape.sensitive
    if isinstance(value, Mapping):
        for inner, part, is_named in _parts(shape, value, names):
            yield from _secrets(inner, part, names, secret=secret or is_named)
    elif isinstance(value, list) and shape.kind == "list":
        for part in value:
            yield from _secrets(shape.members["member"].shape, part, names, secret=secret)
    elif secret and isinstance(value, str | int | float):
        yield str(value)


def _parts(
    shape: Shape, value: Mapping[str, object], names: frozenset[str]
) -> Iterator[tuple[Shape, object, bool]]:
    """Yield the parts of a structure or a map: the shape of each, itself, whether it is secret."""
    if shape.kind == "map":
        for key, part in value.items():
            yield shape.members["key"].shape, key, False
            yield shape.members["value"].shape, part, key in names
    for name, part in value.items() if shape.kind == "structure" else ():
        member = shape.members.get(name)
        if member is not None:
            yield member.shape, part, name in names
