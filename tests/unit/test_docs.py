# SPDX-License-Identifier: Apache-2.0
"""The documents are true: settings, commands, metrics, decisions, links and examples."""

import re
import shlex
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest

from opentrail.capture.build import Skipped
from opentrail.capture.services import SERVICES
from opentrail.cli.exits import (
    EXIT_CORRUPT,
    EXIT_INTERRUPTED,
    EXIT_NO,
    EXIT_PIPE,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
)
from opentrail.cli.main import COMMANDS, cli
from opentrail.config import AccessKeySetting, Settings, Upstream, load
from opentrail.config.identity import ClientCertificate
from opentrail.config.settings import Exclude
from opentrail.event.caps import (
    ADDITIONAL_BYTES_MAX,
    BODY_KEPT_MAX,
    OBJECT_BYTES_MAX,
    RECORD_BYTES_MAX,
    TEXT_BYTES_MAX,
)
from opentrail.event.record import FIELD_ORDER
from opentrail.event.selectors_check import FIELDS
from opentrail.front.metrics import Metrics
from opentrail.history.conditions import fields_of
from opentrail.history.fields import OWN_NAMES
from opentrail.history.query import parse
from opentrail.objects.setting import BucketSetting
from opentrail.trails.target_setting import WebhookSetting
from opentrail.wire.operations import ANSWERED

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/*.md")])
PAGE_NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SETTING_ROW = re.compile(r"^\| `([\w.]+)` \| `(OPENTRAIL_\w+)` \| [^|]+ \| ([^|]+) \| [^|]+ \|$")
TABLE_ROW = re.compile(r"^\| `([\w.]+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$")
INVOCATION = re.compile(r"\bopentrail (?:[a-z-]+)(?: [^|>#;)&]*)?")
FILE_NAME = re.compile(r"[\w/.-]+\.(?:py|md|toml|zip|lock)")
METRIC = re.compile(r"\bopentrail_[a-z_]+\b")
TABLES = (
    *("upstream", "buckets", "bucket_owners", "access_keys", "client_certificates"),
    *("exclude", "webhooks"),
)
"""Settings that are tables by name, documented in parts of their own."""
ADR_PARTS = ("Situation.", "Decision.", "What we gave up.", "How we would notice")
ADR_WORDS_MAX = 450
"""About one page."""
EXAMPLES_MIN = 40
"""Fewer would mean that this test no longer finds them."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(text_of(name)) if kind == language]


def leaves(shape: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every single setting."""
    for field in msgspec.structs.fields(shape):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from leaves(field.type, f"{prefix}{field.encode_name}.")
        elif field.encode_name not in TABLES:
            yield prefix + field.encode_name


def documented() -> dict[str, tuple[str, str]]:
    """Return setting -> (variable, default) as docs/configuration.md has them."""
    rows = map(SETTING_ROW.match, text_of("docs/configuration.md").splitlines())
    return {row[1]: (row[2], row[3].strip("` ")) for row in rows if row}


def test_every_setting_is_documented_and_no_other():
    assert list(documented()) == list(leaves(Settings))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_by_name_has_its_part(name):
    assert f"`[{name}" in text_of("docs/configuration.md")


@pytest.mark.parametrize("setting", list(leaves(Settings)))
def test_the_documented_default_set_by_the_documented_variable_changes_nothing(setting):
    variable, shown = documented()[setting]
    value = "" if shown == "empty" else shown
    assert load(None, {variable: value}, {}) == Settings()


@pytest.mark.parametrize(
    ("prefix", "shape"),
    [
        ("upstream.NAME.", Upstream),
        ("buckets.NAME.", BucketSetting),
        ("access_keys.KEYID.", AccessKeySetting),
        ("client_certificates.NAME.", ClientCertificate),
        ("exclude.NAME.", Exclude),
        ("webhooks.NAME.", WebhookSetting),
    ],
)
def test_every_setting_of_a_table_is_documented_and_no_other(prefix, shape):
    rows = map(TABLE_ROW.match, text_of("docs/configuration.md").splitlines())
    shown = [row[1].removeprefix(prefix) for row in rows if row and row[1].startswith(prefix)]
    assert sorted(shown) == sorted(field.encode_name for field in msgspec.structs.fields(shape))


def test_every_flag_of_a_setting_is_documented():
    page = text_of("docs/configuration.md")
    for option in command_of("serve").params:
        assert option.opts[0] in page


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_settings_files_in_the_documents_load(name, tmp_path):
    for number, block in enumerate(blocks(name, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(block, encoding="utf-8")
        built_in = load(file, {}, {})
        assert built_in != Settings()


def command_of(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, f"there is no command {name}"
    return command


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_is_documented(name):
    assert f"\n## opentrail {name}\n" in text_of("docs/commands.md")
    assert f"| `opentrail {name}` |" in text_of("README.md")


def named(word: str, arguments: list[str]) -> click.Command:
    """Return the command that is meant, of a command of commands the inner one."""
    command = command_of(word)
    if isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
        return command.commands[arguments[0]]
    return command


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_option_is_documented(name):
    pages = text_of("docs/commands.md") + text_of("docs/configuration.md")
    command = command_of(name)
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    for option in (param for each in (command, *inner) for param in each.params):
        if isinstance(option, click.Option):
            assert any(re.search(rf"{each}\b", pages) for each in option.opts), option.opts


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("serve", "env")])
def test_json_is_asked_for_by_the_same_word_everywhere(name):
    """Not of ``serve``, whose ``--log-format`` it is, nor of ``env``, whose forms are shells'."""
    command = command_of(name)
    inner = command.commands.values() if isinstance(command, click.Group) else [command]
    for each in inner:
        known = {opt for param in each.params for opt in param.opts}
        assert "--json" in known or "--format" not in known


def test_every_exit_code_is_documented():
    codes = re.findall(r"^\| (\d+) \|", text_of("docs/commands.md"), re.MULTILINE)
    expected = [0, EXIT_NO, EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_CORRUPT, EXIT_INTERRUPTED, EXIT_PIPE]
    assert list(map(int, codes)) == expected


def invocations(name: str) -> Iterator[str]:
    """Yield every command line of ours in the page: in shell blocks and in code spans."""
    page = text_of(name)
    lines = [line for block in blocks(name, "sh") for line in block.splitlines()]
    spans = [span for span in CODE_SPAN.findall(FENCE.sub("", page)) if "opentrail " in span]
    for line in (*lines, *spans):
        yield from INVOCATION.findall(line)


def test_there_are_examples():
    assert len([line for name in PAGE_NAMES for line in invocations(name)]) > EXAMPLES_MIN


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_examples_name_real_commands_and_options(name):
    for line in invocations(name):
        _, word, *arguments = shlex.split(line)
        if word == "COMMAND":
            continue
        params = named(word, arguments).params
        known = {opt for param in params for opt in param.opts} | {"--help"}
        if "--" in arguments:  # what follows is another program's
            arguments = arguments[: arguments.index("--")]
        given = {argument for argument in arguments if argument.startswith("-")}
        assert given <= known, line


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_examples_are_accepted(name):
    """Each example in a shell block is a command line that click parses."""
    for block in blocks(name, "sh"):
        for line in filter(None, map(INVOCATION.search, block.splitlines())):
            _, word, *arguments = shlex.split(line[0])
            if "--help" not in arguments:
                command_of(word).make_context(word, arguments)


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_examples_ask_for_fields_that_records_have(name):
    for line in invocations(name):
        _, word, *arguments = shlex.split(line)
        if word in ("search", "lookup", "tail", "expect"):
            asked = command_of(word).make_context(word, arguments, resilient_parsing=True).params
            for field in fields_of(parse(" ".join(asked["query"]))):
                assert field.partition(".")[0] in {*OWN_NAMES, *FIELD_ORDER}, line


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_links_lead_somewhere(name):
    folder = (ROOT / name).parent
    for target in LINK.findall(FENCE.sub("", text_of(name))):
        path, _, anchor = target.partition("#")
        if "://" not in target:
            assert (folder / path).exists(), target
            assert not anchor, "no link into a page: headings change"


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_files_that_are_named_exist(name):
    places = (ROOT, ROOT / "src" / "opentrail", DOCS)
    for span in CODE_SPAN.findall(FENCE.sub("", text_of(name))):
        if FILE_NAME.fullmatch(span) and "service_x" not in span and not made_up(span):
            assert any((place / span).exists() for place in places), span


def made_up(name: str) -> bool:
    """Whether a file's name stands for one that is yet to be written."""
    return name.endswith(("/x.py", "_x.py")) or "NNNN" in name


def test_every_page_is_listed():
    index = text_of("docs/README.md")
    listed = {(DOCS / target).resolve() for target in LINK.findall(index) if "://" not in target}
    pages = {page.resolve() for page in DOCS.rglob("*.md")} - {(DOCS / "README.md").resolve()}
    assert pages <= listed


@pytest.mark.parametrize("page", sorted((DOCS / "adr").glob("*.md")), ids=lambda page: page.stem)
def test_a_decision_has_its_four_parts_on_a_page(page):
    text = page.read_text(encoding="utf-8")
    places = [text.index(f"**{part}") for part in ADR_PARTS]
    assert places == sorted(places)
    assert text.startswith(f"# {int(page.name[:4])}. ")
    assert len(text.split()) <= ADR_WORDS_MAX


def test_decisions_are_numbered_without_gaps():
    numbers = [int(page.name[:4]) for page in sorted((DOCS / "adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_metric_is_documented_and_no_other():
    metrics = Metrics()
    metrics.excluded("x")
    metrics.failed("x")
    exposed = re.findall(r"^# HELP (opentrail_\w+)", metrics.text().decode(), re.MULTILINE)
    assert set(METRIC.findall(text_of("docs/operating.md"))) == set(exposed)


def test_fields_that_are_named_in_records_exist():
    rows = re.findall(
        r"^\| (`.+?`) \|", text_of("docs/records.md").split("## eventVersion")[0], re.MULTILINE
    )
    named = [name for row in rows for name in CODE_SPAN.findall(row)]
    assert len(named) > 15
    assert set(named) <= set(FIELD_ORDER)


VERSION_ROWS = {
    "SageMaker and its runtimes, Feature Store": "sagemaker",
    "DevOps Guru": "devops-guru",
    "Personalize": "personalize",
    "Cloud Control, CloudFront, CloudTrail, CloudWatch Logs, CodeBuild, ECS, EventBridge, IAM, Invoicing, KMS, Lambda, S3, Secrets Manager": (
        "cloudcontrol cloudfront cloudtrail codebuild ecs events iam invoicing kms lambda logs s3 secretsmanager"
    ),
    "EC2, End User Messaging SMS, Roles Anywhere, Route 53": (
        "ec2 pinpoint-sms-voice-v2 rolesanywhere route53"
    ),
    "CloudFront KeyValueStore, EKS, Organizations": "cloudfront-keyvaluestore eks organizations",
}
"""Row of the table in docs/records.md -> how the services begin that it speaks of."""


def test_every_event_version_is_documented():
    rows = dict(
        re.findall(r"^\| ([^|]+) \| ([\d., ]+) \|", text_of("docs/records.md"), re.MULTILINE)
    )
    said = {
        prefix: version
        for title, prefixes in VERSION_ROWS.items()
        for prefix, version in zip(prefixes.split(), cycle(rows[title].split(", ")), strict=False)
    }
    for service, rules in SERVICES.items():
        prefix = max((each for each in said if service.startswith(each)), key=len, default="")
        assert rules.event_version == said.get(prefix, rows["all others"]), service


def said_in_code(pattern: str) -> set[str]:
    """Return what ``pattern`` captures anywhere in the product's code."""
    files = (ROOT / "src" / "opentrail").rglob("*.py")
    return {found for file in files for found in re.findall(pattern, file.read_text("utf-8"))}


def test_every_mark_is_documented():
    section = text_of("docs/records.md").split("## Marks")[1].split("\n## ")[0]
    marks = said_in_code(r"""(?:additional|said)\["(\w+)"\] = """)
    assert marks == {name.partition(":")[0] for name in re.findall(r"`([^`\n]+)`", section)}


def test_every_reason_of_a_count_is_documented():
    reasons = said_in_code(r"""\.(?:excluded|failed)\("(\w+)"\)""")
    reasons |= set(get_args(Skipped.__annotations__["reason"]))
    assert all(f"`{reason}`" in text_of("docs/operating.md") for reason in reasons)


def test_every_operation_of_trails_is_documented_and_no_other():
    section = text_of("docs/trails.md").split("## Operations")[1].split("\n\n")[1]
    assert set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", section)) == set(ANSWERED) - {"LookupEvents"}


@pytest.mark.parametrize("category", list(FIELDS))
def test_every_field_of_selectors_is_documented_and_no_other(category):
    row = re.search(rf"^\| `{category}` \| (.+) \|$", text_of("docs/trails.md"), re.MULTILINE)
    assert row is not None
    assert {*CODE_SPAN.findall(row[1]), "eventCategory"} == set(FIELDS[category])


def test_every_cap_is_documented():
    caps = text_of("docs/records.md").split("## Caps")[1].split("\n## ")[0]
    assert f"{OBJECT_BYTES_MAX:,} bytes" in caps
    for bytes_max in (ADDITIONAL_BYTES_MAX, TEXT_BYTES_MAX, BODY_KEPT_MAX, RECORD_BYTES_MAX):
        assert f"{bytes_max // 1024} KB" in caps


def test_the_readme_starts_with_two_commands():
    start = text_of("README.md").split("## Start")[1].split("\n## ")[0]
    (block,) = [body for kind, body in FENCE.findall(start) if kind == "sh"]
    commands = [line.split("#")[0].strip() for line in block.splitlines()]
    assert commands == ["python3 dev.py demo", "python3 dev.py test"]
