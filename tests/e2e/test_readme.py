# SPDX-License-Identifier: Apache-2.0
"""What the README tells a user to type works, typed into a real shell."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.server import clean_environment

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UPSTREAM = "http://localhost:5000"
"""Where the README's own services answer."""
SHELL_S_MAX = 60.0
READY = "clients"
"""How the last line of the start-up lines begins."""


def own_services() -> tuple[str, str]:
    """Return the two blocks about one's own services: the server's shell, the client's shell."""
    section = README.read_text(encoding="utf-8").split("## In front of your own services")[1]
    server, client = BLOCK.findall(section)[:2]
    return server, client


def trail() -> str:
    """Return the block about a trail, which goes on in the client's shell."""
    section = README.read_text(encoding="utf-8").split("## In front of your own services")[1]
    block: str = BLOCK.findall(section)[2]
    return block


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a user's shell; the free port lets the tests run side by side."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return clean_environment(tmp_path) | {
        "OPENTRAIL_LISTEN_ADDRESS": f"127.0.0.1:{free_port()}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }


@pytest.fixture
def served(tmp_path: Path, shell: dict[str, str], moto_url: str) -> Iterator[None]:
    """Type the server's block, with moto as one's own services."""
    block, _ = own_services()
    assert UPSTREAM in block
    # "exec": the signal at the end is for the server, not for the shell.
    script = block.replace(UPSTREAM, moto_url).replace("opentrail serve", "exec opentrail serve")
    with subprocess.Popen(
        ["bash", "-e", "-c", script],
        cwd=tmp_path,
        env=shell,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert any(line.strip().startswith(READY) for line in process.stdout)
            yield
        finally:
            process.terminate()


def typed(block: str, folder: Path, environment: dict[str, str]) -> str:
    """Return what a shell shows; it ends at the first command that fails."""
    done = subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SHELL_S_MAX,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.usefixtures("served")
def test_the_commands_in_front_of_ones_own_services(tmp_path: Path, shell: dict[str, str]) -> None:
    _, block = own_services()
    shown = typed(block, tmp_path, shell)
    looked_up = shown.partition('"Events":')[2]
    assert '"EventName": "ListModels"' in looked_up
    assert '"Username": "opentrail-admin"' in looked_up
    searched = [line.split("\t")[1] for line in shown.splitlines() if "\t" in line]
    assert searched == ["LookupEvents", "ListModels"]


@pytest.mark.usefixtures("served")
def test_the_commands_that_make_a_trail(tmp_path: Path, shell: dict[str, str]) -> None:
    _, block = own_services()
    settings = [line for line in block.splitlines() if line.startswith(("source", "eval"))]
    verify = "opentrail verify audit"
    assert verify in trail()
    # A user is not as quick as a shell: the first digest is there in a moment.
    patient = trail().replace(verify, f"until {verify}; do sleep 0.2; done")
    shown = typed("\n".join([*settings, patient]), tmp_path, shell)
    assert "AWSLogs/123456789012/CloudTrail-Digest/" in shown
    assert "verdict: valid" in shown
