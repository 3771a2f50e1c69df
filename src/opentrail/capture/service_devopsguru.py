# SPDX-License-Identifier: Apache-2.0
"""Amazon DevOps Guru: what its model does not say about its records.

Source: DevOps Guru User Guide, "Logging Amazon DevOps Guru API calls with AWS CloudTrail", and
delivered records: the wire's own JSON, PascalCase names and epoch seconds included. Every
operation is a management event; many of its reads are POST, so only the name tells.
"""

from types import MappingProxyType

from opentrail.capture.rules import Casing, OperationRules, ServiceRules, Times

CONTROL = ServiceRules(
    tls=False,
    event_version="1.08",
    casing=Casing.RAW,
    times=Times.AS_SENT,
    # IAM calls it a read, but it starts something.
    operations=MappingProxyType({"StartCostEstimation": OperationRules(read_only=False)}),
)
