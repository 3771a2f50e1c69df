# SPDX-License-Identifier: Apache-2.0
"""Terraform with its aws provider, as a user of OpenTrail sets them up; nothing is downloaded."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.aws_clients import Key

MIRRORS = (
    "/opt/tf-plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    str(Path.home() / ".terraform.d/plugins"),
)
"""Where providers are laid by hand, after Terraform's own implied mirrors; else TF_PLUGIN_MIRROR."""
PROVIDER = "registry.terraform.io/hashicorp/aws"
COMMAND_S_MAX = 120
REATTACH = re.compile(r"TF_REATTACH_PROVIDERS='(.+)'")
PLAN_HAS_CHANGES = 2
SERVICES = ("cloudtrail", "iam", "kms", "logs", "organizations", "s3", "sns", "sts")

ALONE = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "*",
}
"""So that the provider sees nothing of the machine's own settings."""

PROVIDER_BLOCK = """
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "%s"
  secret_key                  = "%s"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
  max_retries                 = 1
  endpoints {
%s
  }
}
"""


def terraform_binary() -> str:
    """Return where terraform is; skip the test when there is none."""
    found = shutil.which("terraform")
    if found is None:
        pytest.skip("no terraform on PATH")
    return found


def provider_mirror() -> str:
    """Return the directory that has the aws provider; skip the test when there is none."""
    for place in filter(None, (os.environ.get("TF_PLUGIN_MIRROR"), *MIRRORS)):
        if (Path(place) / PROVIDER).is_dir():
            return place
    pytest.skip("no Terraform aws provider: set TF_PLUGIN_MIRROR to a directory that has it")


@contextmanager
def running_provider(mirror: str) -> Iterator[dict[str, str]]:
    """Run the provider; yield the variables by which Terraform finds it.

    Otherwise Terraform starts it up to three times for a command, some seconds each.
    """
    program = max(Path(mirror).glob(f"{PROVIDER}/*/*/terraform-provider-aws*"))
    with subprocess.Popen(
        [str(program), "-debug"],
        env=ALONE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            found = next(filter(None, (REATTACH.search(line) for line in lines)))
            yield {"TF_REATTACH_PROVIDERS": found[1]}
        finally:
            process.kill()


@dataclass(frozen=True)
class Terraform:
    """A working directory whose provider knows only one endpoint and one key."""

    home: Path
    endpoint: str
    key: Key
    binary: str
    mirror: str
    attached: dict[str, str] = field(default_factory=dict)
    """Variables by which it finds the provider that runs already."""

    def begin(self, attached: dict[str, str]) -> None:
        """Write the settings, and init with the provider of the mirror."""
        mirror = json.dumps(self.mirror)
        settings = (
            f"provider_installation {{\n  filesystem_mirror {{\n    path = {mirror}\n  }}\n}}\n"
        )
        (self.home / "terraform.rc").write_text(settings)
        key = self.key.access_key_id, self.key.secret_access_key
        endpoints = "\n".join(f'    {name} = "{self.endpoint}"' for name in SERVICES)
        (self.home / "provider.tf").write_text(PROVIDER_BLOCK % (*key, endpoints))
        self.run("init", "-input=false")
        self.attached.update(attached)

    def write(self, text: str) -> None:
        """Let ``text`` be the configuration."""
        (self.home / "main.tf").write_text(text)

    def apply(self) -> None:
        """Make it so."""
        self.run("apply", "-auto-approve", "-input=false")

    def destroy(self) -> None:
        """Take all of it away."""
        self.run("destroy", "-auto-approve", "-input=false")

    def changes(self) -> str:
        """Return the plan, when there is anything to change; else ""."""
        done = self._run("plan", "-detailed-exitcode", "-input=false")
        if done.returncode == 0:
            return ""
        assert done.returncode == PLAN_HAS_CHANGES, done.stderr
        return done.stdout

    def run(self, *arguments: str) -> str:
        """Run a command that must work; return what it said."""
        done = self._run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.binary, command, *arguments],
            cwd=self.home,
            env={
                **self.attached,
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(self.home),
                "TF_CLI_CONFIG_FILE": str(self.home / "terraform.rc"),
                "CHECKPOINT_DISABLE": "1",
                "TF_CLI_ARGS": "-no-color",
                **ALONE,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
