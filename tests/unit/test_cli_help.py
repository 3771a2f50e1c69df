# SPDX-License-Identifier: Apache-2.0
"""What the command line says of itself, and to who mistypes."""

import errno
import os
import re

import pytest
from support.server import run
from support.terminal import lines_of, on_terminal

from opentrail import __version__
from opentrail.cli.exits import EXIT_UNAVAILABLE
from opentrail.cli.main import ALIASES, COMMANDS, cli, main

NARROW = 80


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_teaches_by_example(tmp_path, command):
    done = run(command, "--help", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"^    opentrail ({command}|search)\b", done.stdout, re.MULTILINE)
    assert "Options:" in done.stdout
    assert run(command, "-h", home=tmp_path).stdout == done.stdout


def test_the_first_page_leads_to_all_commands(tmp_path):
    done = run("--help", home=tmp_path)
    assert done.returncode == 0
    for command in set(COMMANDS) - ALIASES:
        assert re.search(rf"^  {command} +\S", done.stdout, re.MULTILINE)
    assert "..." not in done.stdout.partition("Commands:")[2]  # each sentence is there to its end
    assert "aws cloudtrail lookup-events" in done.stdout
    assert 'eval "$(opentrail env)"' in done.stdout


def test_no_command_is_the_first_page_and_a_mistake(tmp_path):
    done = run(home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == run("--help", home=tmp_path).stdout


def test_help_fits_a_terminal_but_for_examples(tmp_path):
    for command in ("env", "search", "fsck"):
        shown = lines_of(on_terminal(command, "--help", home=tmp_path, columns=NARROW))
        options = shown[shown.index("Options:") :]
        assert max(map(len, options)) <= NARROW


def test_the_version(tmp_path):
    assert run("--version", home=tmp_path).stdout == f"opentrail, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["serach"], "No such command 'serach'. Did you mean search? See opentrail --help."),
        (["x"], "No such command 'x'. Did you mean "),
        (["search", "--event-nme", "x"], "No such option '--event-nme'"),
        (["fsck", "x"], "unexpected extra argument (x) See opentrail fsck --help."),
        (["search", "--category", "x"], "'x' is not one of 'management', 'data', 'insight'"),
        (["search", "--max-results", "-1"], "-1 is not in the range x>=0"),
        (["search", "--read-only", "yes"], "'yes' is not one of 'true', 'false'"),
        (["search", "--start-time", "soon"], "'soon' is no time: write 2h, "),
        (["search"], "no log in opentrail-data: name the server's data directory (--data)"),
        (["fsck"], "no log in opentrail-data: name the server's data directory (--data)"),
        (["fsck", "--config", "absent"], "cannot read absent: No such file"),
        (["env", "--format", "csh"], "'csh' is not one of 'sh', 'fish', "),
        (["env"], "no key in opentrail-data: start `opentrail serve` once, or name its --data"),
        (["serve", "--upstream", "=http://x"], "write URL or SERVICE=URL"),
        (["--nope"], "No such option '--nope'"),
        (["status", "--account", "x"], "account"),
        (["fsck", "--account", "x"], "account"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, arguments, line):
    if arguments[:2] == ["search", "--start-time"]:
        (tmp_path / "opentrail-data" / "log").mkdir(parents=True)
    done = run(*arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("opentrail: ")
    assert done.stderr.count("\n") == 1
    assert line in done.stderr


def test_a_bad_setting_stops_every_command_that_reads_settings(tmp_path):
    for command in ("serve", "env", "search", "fsck"):
        done = run(command, home=tmp_path, environment={"OPENTRAIL_ACOUNT": "x"})
        assert done.returncode == 2
        assert done.stderr == (
            "opentrail: OPENTRAIL_ACOUNT: unknown setting acount; did you mean account?\n"
        )


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (
            errno.EACCES,
            "/d/log: Permission denied; run it as the user whose file that is, or mend its permissions",
        ),
        (errno.ENOSPC, "/d/log: No space left on device"),
    ],
)
def test_a_file_that_may_not_be_used_says_how_to_go_on(number, said, monkeypatch, capfd):
    def failing(**_: object) -> None:
        raise OSError(number, os.strerror(number), "/d/log")

    monkeypatch.setattr(cli, "main", failing)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == EXIT_UNAVAILABLE
    assert capfd.readouterr().err == f"opentrail: {said}\n"
