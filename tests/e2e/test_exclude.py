# SPDX-License-Identifier: Apache-2.0
"""Calls that the operator excludes pass, are counted and shown, and leave no record."""

import urllib.request

import pytest
from support import upstreams
from support.server import OpenTrail, run

CONFIG = """
[exclude.health-checks]
paths = ["/healthz"]
source_networks = ["127.0.0.0/8"]

[exclude.reads-of-models]
event_source = "sagemaker.amazonaws.com"
event_names = ["List*", "DescribeModel"]
read_only = true
"""


def test_excluded_calls_are_counted_and_said(tmp_path):
    with (
        upstreams.upstream() as upstream,
        OpenTrail(tmp_path / "data", upstream=upstream.url, config=CONFIG) as server,
    ):
        (line,) = [each for each in server.ready_lines if each.strip().startswith("excluded")]
        assert "health-checks (/healthz, 127.0.0.0/8)" in line
        assert "reads-of-models (sagemaker.amazonaws.com, List* DescribeModel, reads only)" in line

        sagemaker = server.client("sagemaker")
        sagemaker.list_models()
        sagemaker.list_endpoints()
        sagemaker.delete_model(ModelName="m")
        server.client("personalize").list_schemas()
        with urllib.request.urlopen(f"{server.endpoint}/healthz") as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"{server.endpoint}/healthz/more") as answer:
            assert answer.status == 200
        assert len(upstream.received) == 6
        names = [each["eventName"] for each in server.events()]
        assert names == ["DeleteModel", "ListSchemas", "UnknownOperation"]
        metrics = server.metrics()
        label = 'opentrail_calls_excluded_total{reason="rule:%s"}'
        assert metrics[label % "reads-of-models"] == 2
        assert metrics[label % "health-checks"] == 1
        seen, accounted = server.accounted()
        assert seen == accounted == 6


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("read_only = true", "would leave nothing recorded"),
        ("event_source = 'cloudtrail.amazonaws.com'", "always recorded"),
        ("event_source = 'sagemaker'", "such as sagemaker.amazonaws.com"),
        ("source_networks = ['10.0.0.0/99']", "exclude.x.source_networks"),
        ("path = ['/x']", "did you mean exclude.x.paths"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_start(tmp_path, table, said):
    file = tmp_path / "settings.toml"
    file.write_text(f"[exclude.x]\n{table}\n")
    done = run("serve", "--config", str(file), "--listen", "127.0.0.1:0", home=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
