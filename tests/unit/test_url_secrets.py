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
def test_names_and_passwords_before_a_host_are_hidden(url, shown):
    data = json.dumps({"a": url, "b": [url]}).encode()
    assert json.loads(without_url_secrets(data)) == {"a": shown, "b": [shown]}


def test_a_repository_is_recorded_without_the_token_that_its_address_has():
    url = "https://ada:ghp_token@git.example.com/a.git"
    params = {"CodeRepositoryName": "a", "GitConfig": {"RepositoryUrl": url}}
    record = called("sagemaker", "CreateCodeRepository", params)
    shown = record["requestParameters"]["gitConfig"]["repositoryUrl"]
    assert shown == f"https://{HIDDEN}@git.example.com/a.git"
