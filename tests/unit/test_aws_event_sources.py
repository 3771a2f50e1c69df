# SPDX-License-Identifier: Apache-2.0
"""The eventSource of services whose records do not name them as they are signed.

Source: EventBridge Events Reference, "Events"; the services' pages on logging with CloudTrail.
"""

import pytest

from opentrail.aws import catalog, tables


@pytest.mark.parametrize(
    ("service", "source"),
    [
        ("application-insights", "application-insights"),
        ("cloudfront-keyvaluestore", "edgekeyvaluestore"),
        ("connectparticipant", "participant-connect"),
        ("iotsecuretunneling", "iotsecuredtunneling"),
        ("marketplace-catalog", "marketplacecatalog"),
        ("meteringmarketplace", "metering-marketplace"),
        ("mgh", "migrationhub"),
        ("pinpoint", "pinpoint"),
        ("pricing", "pricelist"),
        ("sso", "sso"),
        ("sso-admin", "sso"),
        ("taxsettings", "tax"),
    ],
)
def test_event_sources_are_those_that_aws_documents(service, source):
    row = tables.services()[service]
    assert catalog.event_source(row) == f"{source}.amazonaws.com"
