# SPDX-License-Identifier: Apache-2.0
"""Whether an operation only reads, where neither a table nor its model says so: by its name.

Source: readOnly in delivered records. The HTTP method tells nothing: many reads are POST.
"""

import re

_READ = re.compile(
    "(?:Get|List|Describe|Head|BatchGet|BatchDescribe|Search|Lookup|Query|Scan|Select|Check"
    "|Detect|Validate|Simulate|Render)(?![a-z])"
)


def named_as_read(operation: str) -> bool:
    """Return whether the operation's first word is one of those that only read."""
    return _READ.match(operation) is not None
