# SPDX-License-Identifier: Apache-2.0
"""Amazon Personalize: what its models do not say about its records.

Source: Personalize Developer Guide, "Logging Amazon Personalize API calls with AWS CloudTrail":
CloudTrail captures a subset of the API. The runtime and events services have no data event type
and appear in no record.
"""

from types import MappingProxyType

from opentrail.capture.rules import EVENT_VERSION_DEFAULT, OperationRules, ServiceRules, Times

# The only samples (2018) carry 1.05, which has neither managementEvent (1.06) nor eventCategory
# (1.07): a record with those must say a version that has them.
CONTROL = ServiceRules(tls=False, event_version=EVENT_VERSION_DEFAULT, times=Times.JAVA)

# Counted, not recorded; with record_unlogged they are data events. Who did what with which item
# is the customer's users' data: a write keeps only where it went.
_TRACKED = OperationRules(keep=frozenset({"trackingId"}))
_DATASET = OperationRules(keep=frozenset({"datasetArn"}))
EVENTS = ServiceRules(
    tls=False,
    logged=False,
    operations=MappingProxyType(
        {
            "PutActionInteractions": _TRACKED,
            "PutActions": _DATASET,
            "PutEvents": _TRACKED,
            "PutItems": _DATASET,
            "PutUsers": _DATASET,
        }
    ),
)
RUNTIME = ServiceRules(tls=False, logged=False)
