# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's caps on a record, for all that write, read or keep one.

Source: CloudTrail User Guide, "CloudTrail record contents".
"""

RECORD_BYTES_MAX = 256 * 1024
"""The whole record (eventVersion 1.05 and later)."""
OBJECT_BYTES_MAX = 102_400
"""requestParameters, responseElements and serviceEventDetails: 100 KB each."""
ADDITIONAL_BYTES_MAX = 28 * 1024
"""additionalEventData: 28 KB."""
TEXT_BYTES_MAX = 1024
"""userAgent, errorCode, errorMessage and requestID: 1 KB each."""

BODY_KEPT_MAX = RECORD_BYTES_MAX
"""Bytes of a call's body, either way, that are kept to make a record of: nothing of a longer one could be
recorded anyway."""
