# SPDX-License-Identifier: Apache-2.0
"""What other programs import: middleware, a botocore plugin, and the sender behind both.

Of OpenTrail it imports ``event`` alone, and of PyPI msgspec: nothing of the server runs in them.
"""

from opentrail.sdk.audit import audit_event
from opentrail.sdk.recorder import Recorder

__all__ = ["Recorder", "audit_event"]
