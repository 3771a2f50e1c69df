# SPDX-License-Identifier: Apache-2.0
"""What keeps the server from starting is one line that says what to do, and exit code 2."""

import os
import socket
import subprocess
from pathlib import Path

import pytest
from support.server import PROGRAM, OpenTrail, clean_environment, run, wait_until


def complaint(*arguments: str, home: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command that must fail at once, and return its one line without the program's name."""
    done = run(*arguments, home=home, environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    name, _, text = done.stderr.strip().partition(": ")
    assert name == "opentrail"
    return text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serve", "--lisen", "x"], "No such option '--lisen'"),
        (["serve", "--listen", "4540"], "'4540' is not HOST:PORT (for example 127.0.0.1:4540)"),
        (["serve", "--listen", "127.0.0.1:65536"], "is not HOST:PORT"),
        (["serve", "--listen", "0.0.0.0:0"], "--allow-insecure"),
        (["serve", "--account", "12"], "account"),
        (["serve", "--region", "../../x"], "region"),
        (["serve", "--auth", "maybe"], "'maybe' is not one of 'verify', 'off'"),
        (["serve", "--upstream", "ftp://x"], "'ftp://x' is not an http(s) URL"),
        (["serve", "--upstream", "http://x/path"], "must not have a path"),
        (["serve", "--upstream", "s3="], "write URL or SERVICE=URL"),
        (["serve", "--default-identity", "alice"], "arn:aws:iam::123456789012:user/NAME"),
        (["serve", "--config", "absent.toml"], "cannot read absent.toml"),
        (["sevre"], "No such command 'sevre'"),
        (["env"], "start `opentrail serve` once"),
    ],
)
def test_flags(tmp_path: Path, arguments: list[str], says: str) -> None:
    assert says in complaint(*arguments, home=tmp_path)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("OPENTRAIL_LISTEN_ADRESS", "did you mean listen.address?"),
        ("OPENTRAIL_ACOUNT", "did you mean account?"),
        ("OPENTRAIL_FORWARD_TIMEOUT", "did you mean forward.timeout_s?"),
        ("OPENTRAIL_LOG_DISK_RESERVE_BYTES", "disk_reserve_bytes"),
    ],
)
def test_variables(tmp_path: Path, name: str, says: str) -> None:
    assert says in complaint("serve", home=tmp_path, environment={name: "x"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("acount = '123456789012'", "unknown setting acount; did you mean account?"),
        ("[listen]\nalow_reset = true", "did you mean listen.allow_reset?"),
        ("[upstream.s3]\nurl = 'http://x'\ntrusted = true", "upstream.s3.trusted_identity?"),
        (
            "[access_keys.AKIA]\nsecret_access = 'x'",
            "did you mean access_keys.AKIA.secret_access_key?",
        ),
        ("[forward]\ntimeout_s = 0", "timeout_s"),
        ("[forward]\nmode = 'rewrite'", "mode"),
        ("[listen]\ntrusted_proxies = ['10.0.0.1/8']", "trusted_proxies"),
        ("[log]\nretention_days = 'x'", "retention_days"),
        ("= =", "is not TOML"),
        ("[access_keys.AKIA]\nuser_name = 'a'\npolicies = ['Nope']", "CloudTrailReadOnlyAccess"),
    ],
)
def test_settings_files(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "opentrail.toml"
    file.write_text(text)
    line = complaint("serve", "--config", str(file), home=tmp_path)
    assert says in line


def test_a_bad_setting_never_shows_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "opentrail.toml"
    file.write_text("[access_keys.AKIA]\nsecret_access_key = ['hush-hush']\n")
    assert "hush" not in complaint("serve", "--config", str(file), home=tmp_path)


@pytest.mark.parametrize("where", ["a file", "beneath a file", "nowhere"])
def test_a_data_directory_that_cannot_be_one(tmp_path: Path, where: str) -> None:
    file = tmp_path / "file"
    file.touch()
    data = {"a file": file, "beneath a file": file / "data", "nowhere": Path("/proc/data")}[where]
    line = complaint("serve", "--data", str(data), "--listen", "127.0.0.1:0", home=tmp_path)
    assert "cannot write to the data directory" in line
    assert "choose another with --data" in line


def test_a_data_directory_in_use(tmp_path: Path) -> None:
    with OpenTrail(tmp_path / "data") as server:
        before = server.health()["log"]["id"]
        line = complaint(
            "serve", "--data", str(server.data), "--listen", "127.0.0.1:0", home=tmp_path
        )
        assert "data" in line
        assert "use" in line
        assert server.health()["log"]["id"] == before


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = complaint("serve", "--listen", address, home=tmp_path)
    assert line.startswith(f"cannot listen on {address}")
    assert "--listen" in line
    assert not (tmp_path / "opentrail-data").exists()


def test_a_read_only_data_directory(tmp_path: Path) -> None:
    """Root may write everywhere but where the kernel says no."""
    data = tmp_path / "data"
    data.mkdir(mode=0o555)
    if os.geteuid() == 0:
        data = Path("/sys/kernel")
    line = complaint("serve", "--data", str(data), "--listen", "127.0.0.1:0", home=tmp_path)
    assert line.startswith(f"cannot write to the data directory {data}: ")
    assert "mend its permissions" in line


CLOSED = 'exec "$0" "$@" <&- >&- 2>&-'
"""A shell's program: the command without standard input, output and error, as supervisors may."""


def listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_closed_standard_descriptors_are_no_files_of_the_log(tmp_path: Path) -> None:
    """Of both processes: what is printed as an error would else be written into a segment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = OpenTrail(tmp_path / "data", port=port)
    home = clean_environment(tmp_path)
    with subprocess.Popen(["sh", "-c", CLOSED, *server.command()], env=home) as process:
        wait_until(lambda: listens(port))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(children.read_text)
        for pid in (process.pid, int(children.read_text())):
            opened = [(Path("/proc") / str(pid) / "fd" / number).readlink() for number in "012"]
            assert set(opened) == {Path(os.devnull)}
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize("arguments", [["--help"], ["coverage", "--json"], ["fsck", "--data", "x"]])
def test_closed_standard_descriptors_change_no_exit_code(
    tmp_path: Path, arguments: list[str]
) -> None:
    closed = subprocess.run(
        ["sh", "-c", CLOSED, PROGRAM, *arguments], env=clean_environment(tmp_path), check=False
    )
    assert closed.returncode == run(*arguments, home=tmp_path).returncode
