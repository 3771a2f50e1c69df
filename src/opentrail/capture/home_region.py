# SPDX-License-Identifier: Apache-2.0
"""Services that a partition has in one region: their events are of it, wherever they are called from.

Source: CloudTrail User Guide, "CloudTrail concepts", 'Global service events'; the services that
botocore's endpoints.json says are not regionalized.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from opentrail.event.place import partition_of

_SERVICES = (
    (("aws", "us-east-1"), "account billingconductor budgets ce chime cloudfront health iam"),
    (("aws", "us-east-1"), "importexport notifications-contacts organizations route53"),
    (("aws", "us-east-1"), "savingsplans shield tax waf"),
    (("aws", "us-west-2"), "networkmanager"),
    (("aws-cn", "cn-northwest-1"), "account budgets ce cloudfront health organizations route53"),
    (("aws-cn", "cn-north-1"), "iam"),
    (("aws-us-gov", "us-gov-west-1"), "iam networkmanager organizations route53"),
    (("aws-iso", "us-iso-east-1"), "budgets ce iam organizations route53"),
    (("aws-iso-b", "us-isob-east-1"), "budgets ce iam organizations route53"),
    (("aws-iso-e", "eu-isoe-west-1"), "budgets organizations route53 savingsplans"),
    (("aws-iso-f", "us-isof-south-1"), "budgets ce iam organizations route53 savingsplans"),
)
_OF_AWS = re.compile(r"(?:af|ap|ca|cn|eu|eusc|il|me|mx|sa|us)(?:-[a-z]+)+-\d{1,2}")
"""Regions of AWS, and none that somebody has made up for a house of their own."""

HOMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        f"{service}.amazonaws.com": {
            partition: region
            for (partition, region), services in _SERVICES
            if service in services.split()
        }
        for service in {each for _, services in _SERVICES for each in services.split()}
    }
)
"""eventSource -> partition -> region."""


def home_region(homes: Mapping[str, str], region: str, accepted: frozenset[str]) -> str:
    """Return the region that an event is of, of a service with ``homes``, called in ``region``.

    That is ``region`` where it is none of AWS, and where the home is none of the ``accepted`` ones
    (empty: all are): nobody could look its events up.
    """
    home = homes.get(partition_of(region), region) if _OF_AWS.fullmatch(region) else region
    return home if not accepted or home in accepted else region
