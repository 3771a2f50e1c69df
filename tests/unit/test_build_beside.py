# SPDX-License-Identifier: Apache-2.0
"""What additionalEventData says of answers that records do not show."""

import pytest
from support.calls import ACCOUNT, Made

MATERIAL = "123456789abcdef0" * 4


@pytest.mark.parametrize(
    ("operation", "answer", "said"),
    [
        ("Decrypt", {"KeyMaterialId": MATERIAL}, {"keyMaterialId": MATERIAL}),
        ("GenerateDataKeyPair", {"KeyMaterialId": MATERIAL}, {"keyMaterialId": MATERIAL}),
        (
            "ReEncrypt",
            {"SourceKeyMaterialId": MATERIAL, "DestinationKeyMaterialId": "b"},
            {"sourceKeyMaterialId": MATERIAL, "destinationKeyMaterialId": "b"},
        ),
        ("Decrypt", {"KeyMaterialId": 1}, None),
        ("Decrypt", {}, None),
    ],
)
def test_kms_says_which_key_material_was_used(operation, answer, said):
    """KMS Developer Guide, "Decrypt", "GenerateDataKey", "ReEncrypt"; a record of 2026."""
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"
    made = Made(
        "kms", operation, {}, {"KeyId": key, "Plaintext": "eA==", **answer}, protocol="json"
    )
    shown = made.record()
    assert shown.get("additionalEventData") == said
    assert shown["responseElements"] is None
    assert shown["resources"][-1]["ARN"] == key


FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"


@pytest.mark.parametrize("named", ["f", "f:PROD", f"{FUNCTION}:PROD", FUNCTION])
@pytest.mark.parametrize("version", ["$LATEST", "23"])
def test_lambda_says_which_version_ran(named, version):
    """Records of 2017 to 2023: the version, not the alias that was called."""
    headers = {"x-amz-executed-version": version}
    path = f"/2015-03-31/functions/{named}/invocations"
    made = Made("lambda", "Invoke", b"{}", b"{}", path=path, more={"response_headers": headers})
    assert made.record()["additionalEventData"] == {"functionVersion": f"{FUNCTION}:{version}"}


@pytest.mark.parametrize("version", ["", "PROD", "1 2", "9" * 11])
def test_what_is_no_version_is_not_told(version):
    headers = {"x-amz-executed-version": version}
    path = "/2015-03-31/functions/f/invocations"
    made = Made("lambda", "Invoke", b"{}", b"{}", path=path, more={"response_headers": headers})
    assert "additionalEventData" not in made.record()
    assert "additionalEventData" not in Made("lambda", "Invoke", b"{}", b"{}", path=path).record()
