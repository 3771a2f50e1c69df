# SPDX-License-Identifier: Apache-2.0
"""What additionalEventData says of an answer whose elements are not recorded.

Source: KMS Developer Guide, "Logging AWS KMS API calls with AWS CloudTrail"; CloudTrail User Guide,
"Logging data events", of Lambda; delivered records.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from opentrail.capture.call import Call
from opentrail.capture.plan import Plan
from opentrail.capture.resources import Members, resources

_NOTHING: Mapping[str, object] = MappingProxyType({})
_FUNCTION = "AWS::Lambda::Function"
_VERSION = re.compile(r"(?:\$LATEST|[0-9]{1,10})\Z")


def beside(
    call: Call, how: Plan, members: Members | None, answer: Members | None
) -> Mapping[str, object]:
    """Return what additionalEventData has of a successful answer."""
    if how.data_type == _FUNCTION:
        return _version_run(call, how, members or {})
    if not how.beside or answer is None:
        return _NOTHING
    return {key: answer[name] for name, key in how.beside if isinstance(answer.get(name), str)}


def _version_run(call: Call, how: Plan, members: Members) -> Mapping[str, object]:
    """Return the version that an alias stood for: Lambda says it in a header."""
    version = call.response_headers.get("x-amz-executed-version", "")
    if not _VERSION.match(version):
        return _NOTHING
    found = resources(how.named, members, {}, call.caller.account, call.caller.region)
    return {"functionVersion": f"{found[0].arn}:{version}"} if found else _NOTHING
