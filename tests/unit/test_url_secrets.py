# SPDX-License-Identifier: Apache-2.0
"""What lets somebody in by a URL is in no record."""

import json

import pytest
from support.calls import called

from opentrail.event.url_secrets import without_url_secrets

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "https://d1.cloudfront.net/a?Policy=p&Signature=s3cret~_&Key-Pair-Id=K1",
            f"https://d1.cloudfront.net/a?Policy=p&Signature={HIDDEN}&Key-Pair-Id=K1",
        ),
        (
            "https://storage.example.com/b/k?X-Goog-Credential=c&X-Goog-Signature=1234abcd",
            f"https://storage.example.com/b/k?X-Goog-Credential=c&X-Goog-Signature={HIDDEN}",
        ),
        (
            "https://storage.example.com/b/k?GoogleAccessId=a&Expires=1&Signature=ab%2Bc%3D",
            f"https://storage.example.com/b/k?GoogleAccessId=a&Expires=1&Signature={HIDDEN}",
        ),
        ("https://example.com/?Signature=large", "https://example.com/?Signature=large"),
        ("https://ghp_token@git.example.com/a.git", f"https://{HIDDEN}@git.example.com/a.git"),
        ("HTTP://ada:p@ss:word@git.example.com", f"HTTP://{HIDDEN}@git.example.com"),
        (
            "see https://ada:pw@h/a and https://bo:pw@h/b",
            f"see https://{HIDDEN}@h/a and https://{HIDDEN}@h/b",
        ),
        ("https://example.com/@ada", "https://example.com/@ada"),
        ("https://example.com?to=ada@example.com", "https://example.com?to=ada@example.com"),
        ("https://example.com, ada@example.com", "https://example.com, ada@example.com"),
        ("ssh://git@example.com/a.git", "ssh://git@example.com/a.git"),
        ("ada@example.com", "ada@example.com"),
    ],
)
def test_what_lets_in_by_an_url_is_hidden(url, shown):
    data = json.dumps({"a": url, "b": [url]}).encode()
    assert json.loads(without_url_secrets(data)) == {"a": shown, "b": [shown]}


def test_a_repository_is_recorded_without_the_token_that_its_address_has():
    url = "https://ada:ghp_token@git.example.com/a.git"
    params = {"CodeRepositoryName": "a", "GitConfig": {"RepositoryUrl": url}}
    record = called("sagemaker", "CreateCodeRepository", params)
    shown = record["requestParameters"]["gitConfig"]["repositoryUrl"]
    assert shown == f"https://{HIDDEN}@git.example.com/a.git"
