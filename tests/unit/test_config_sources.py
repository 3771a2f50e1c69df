# SPDX-License-Identifier: Apache-2.0
"""Settings rise from the file over variables to flags, and what is no setting is named."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.config import PORT_MAX, Settings, Upstream, load, split_address
from opentrail.errors import UsageError

URL = "http://localhost:5000"


class File:
    """A settings file of a test."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, text: str, environ: dict[str, str] | None = None, **flags: object) -> Settings:
        """Return the settings; ``__`` in a flag's name stands for the dot."""
        self.path.write_text(text, encoding="utf-8")
        dotted = {name.replace("__", "."): value for name, value in flags.items()}
        return load(self.path, environ or {}, dotted)

    def complaint(self, text: str, environ: dict[str, str] | None = None, **flags: object) -> str:
        with pytest.raises(UsageError) as caught:
            self.load(text, environ, **flags)
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def file(tmp_path):
    return File(tmp_path / "opentrail.toml")


def complaint(environ: dict[str, str]) -> str:
    with pytest.raises(UsageError) as caught:
        load(None, environ, {})
    return str(caught.value)


def test_nothing_given_is_all_defaults():
    settings = load(None, {}, {"data": None, "listen.address": None})
    assert settings == Settings()
    assert settings.data_dir == Path("opentrail-data")


@pytest.mark.parametrize(
    ("text", "variable", "flag", "of"),
    [
        ('data = "f"', "OPENTRAIL_DATA", "data", lambda s: s.data),
        ('[listen]\naddress = "{}"', "OPENTRAIL_LISTEN_ADDRESS", "listen__address", None),
        ('[api]\nauth = "verify"', "OPENTRAIL_API_AUTH", "api__auth", lambda s: s.api.auth),
    ],
)
def test_a_flag_beats_a_variable_beats_the_file(file, text, variable, flag, of):
    of = of or (lambda settings: settings.listen.address)
    values = {
        "data": ("f", "v", "c"),
        "listen__address": ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),
        "api__auth": ("verify", "off", "verify"),
    }[flag]
    text = text.format(values[0])
    assert of(file.load(text)) == values[0]
    assert of(file.load(text, {variable: values[1]})) == values[1]
    assert of(file.load(text, {variable: values[1]}, **{flag: values[2]})) == values[2]
    assert of(file.load(text, {variable: values[1]}, **{flag: None})) == values[1]


def test_one_source_does_not_hide_what_only_another_says(file):
    text = "[listen]\nallow_reset = true\naddress = '127.0.0.1:1'"
    settings = file.load(text, {"OPENTRAIL_LISTEN_HOSTS": "a, b,"}, listen__address="127.0.0.1:2")
    assert settings.listen.allow_reset
    assert settings.listen.hosts == ("a", "b")
    assert settings.listen.address == "127.0.0.1:2"


def test_variables_of_other_programs_and_ours_that_are_no_settings_are_left_alone():
    environ = {"OPENTRAIL_SHARED": "/x", "OPENTRAIL_CONFIG": "/y", "HOME": "/z", "OPENTRAILS": "1"}
    assert load(None, environ, {}) == Settings()


@pytest.mark.parametrize(
    ("text", "unknown", "near"),
    [
        ("acount = '1'", "acount", "account"),
        ("[lisen]\nx = 1", "lisen", "listen"),
        ("[listen]\nadress = 'x'", "listen.adress", "listen.address"),
        ("[api]\nauht = 'off'", "api.auht", "api.auth"),
        ("[forward]\ntimeout = 1", "forward.timeout", "forward.timeout_s"),
        ("[log]\nretention = 1", "log.retention", "log.retention_days"),
        ("[history]\nwindow_days = 1", "history.window_days", "history.lookup_window_days"),
        (
            "[upstream.s3]\nurl = 'http://x'\ntrusted_identiy = true",
            "upstream.s3.trusted_identiy",
            "upstream.s3.trusted_identity",
        ),
        ("[access_keys.AKIA]\nusername = 'x'", "access_keys.AKIA.username", "user_name"),
        ("on_log_failure = 'forward'", "on_log_failure", "forward.on_log_failure?"),
        ("[log]\naddress = 'x'", "log.address", "listen.address?"),
        ('"" = 1', "", ""),
    ],
)
def test_an_unknown_key_of_the_file_names_the_nearest(file, text, unknown, near):
    said = file.complaint(text)
    assert said.startswith(f"{file.path}: unknown setting {unknown}; did you mean ")
    assert near in said


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("OPENTRAIL_LISTEN_ADRESS", "listen.address"),
        ("OPENTRAIL_LISTN", "listen"),
        ("OPENTRAIL_FORWARD_TIMEOUT", "forward.timeout_s"),
        ("OPENTRAIL_REGIN", "region"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_setting(variable, near):
    said = complaint({variable: "x"})
    assert said.startswith(f"{variable}: unknown setting ")
    assert said.endswith(f"did you mean {near}?")


@pytest.mark.parametrize(
    "variable",
    [
        "OPENTRAIL_ACCESS_KEYS",
        "OPENTRAIL_ACCESS_KEYS_AKIA_SECRET_ACCESS_KEY",
        "OPENTRAIL_UPSTREAM_TRUSTED_IDENTITY",
        "OPENTRAIL_UPSTREAM_STS_VERIFIES_SIGNATURES",
    ],
)
def test_a_variable_for_what_only_the_file_can_say_says_so(variable):
    assert complaint({variable: "hush"}) == (
        f"{variable}: this can be set in the settings file only (--config)"
    )


def test_a_value_that_is_none_is_said_by_who_has_it_with_those_that_there_are(file):
    listed = complaint({"OPENTRAIL_ACCOUNTS": "111111111111,x"})
    assert listed.startswith("OPENTRAIL_ACCOUNTS: accounts[1]: ")
    said = file.complaint("[forward]\nmode = 'resgin'")
    assert said.startswith(f"{file.path}: forward.mode: it is one of 'preserve', 'resign';")
    assert "'IAMUser', 'Root'" in file.complaint("[access_keys.AKIA]\ntype = 'User'")


@pytest.mark.parametrize("section", ["LISTEN", "API", "FORWARD", "LOG", "HISTORY"])
def test_a_variable_for_a_whole_table_says_what_to_name(section):
    assert f"name a setting of it: OPENTRAIL_{section}_" in complaint({f"OPENTRAIL_{section}": "x"})


def test_upstreams_are_a_url_or_a_table_and_share_options(file):
    settings = file.load(
        "[upstream]\ntrusted_identity = true\ns3 = 'http://a:1'\n"
        "[upstream.sts]\nurl = 'https://b'\ntrusted_identity = false\n",
        {"OPENTRAIL_UPSTREAM": "http://c", "OPENTRAIL_UPSTREAM_SAGEMAKER_RUNTIME": "http://d"},
        upstream__kms__url="http://[::1]:7",
    )
    assert settings.upstream == {
        "s3": Upstream(url="http://a:1", trusted_identity=True),
        "sts": Upstream(url="https://b"),
        "default": Upstream(url="http://c", trusted_identity=True),
        "sagemaker-runtime": Upstream(url="http://d", trusted_identity=True),
        "kms": Upstream(url="http://[::1]:7", trusted_identity=True),
    }


def test_bucket_owners_are_accounts(file):
    assert file.load("[bucket_owners]\nb-1 = '210987654321'").bucket_owners == {
        "b-1": "210987654321"
    }
    assert "bucket_owners" in file.complaint("[bucket_owners]\nb-1 = '21098765432'")
    assert file.load("[upstream]\nchecks_bucket_owner = true\ns3 = 'http://a'").upstream[
        "s3"
    ] == Upstream(url="http://a", checks_bucket_owner=True)


def test_a_variable_or_flag_changes_only_an_upstreams_url(file):
    text = "[upstream.sts]\nurl = 'http://a'\ntrusted_identity = true"
    trusting = Upstream(url="http://b", trusted_identity=True)
    assert file.load(text, {"OPENTRAIL_UPSTREAM_STS": "http://b"}).upstream == {"sts": trusting}
    assert file.load(text, upstream__sts__url="http://b").upstream == {"sts": trusting}
    assert file.load("[upstream]\nsts = 'http://a'", upstream__sts__url=URL).upstream == {
        "sts": Upstream(url=URL)
    }


def test_a_table_where_the_file_has_a_value_is_said_of_the_file(file):
    said = file.complaint("listen = 5", {"OPENTRAIL_LISTEN_ADDRESS": "127.0.0.1:1"})
    assert said.startswith(f"{file.path}: listen is a table")
    assert "hush" not in file.complaint("upstream = 'hush'", upstream__default__url=URL)


def test_a_wrong_value_is_said_of_whoever_gave_it(file):
    text = "[forward]\ntimeout_s = 1\n[log]\nretention_days = 'x'"
    assert file.complaint(text).startswith(f"{file.path}: log.retention_days: ")
    said = complaint({"OPENTRAIL_FORWARD_TIMEOUT_S": "soon"})
    assert said.startswith("OPENTRAIL_FORWARD_TIMEOUT_S: forward.timeout_s: ")
    said = file.complaint("", account="12")
    assert said.startswith("the command line: account: ")


def test_a_file_that_cannot_be_read_or_is_no_toml(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read .*absent"):
        load(tmp_path / "absent.toml", {}, {})
    bad = tmp_path / "bad.toml"
    for content in (b"= =", b"data = '\xff'", b"data = 'a'\ndata = 'b'"):
        bad.write_bytes(content)
        with pytest.raises(UsageError, match="is not TOML"):
            load(bad, {}, {})


def refused(call: Callable[[], object]) -> str:
    """Return why a call is refused, or "" when it is not; any other error fails the test."""
    try:
        call()
    except UsageError as error:
        return str(error)
    return ""


@given(st.text(max_size=30))
def test_any_listen_address_is_taken_or_refused(text):
    why = refused(lambda: split_address(text))
    if why:
        assert "HOST:PORT" in why
    else:
        host, port = split_address(text)
        assert host
        assert 0 <= port <= PORT_MAX


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_variable_is_taken_or_refused(name, value):
    refused(lambda: load(None, {f"OPENTRAIL_{name}": value}, {}))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
SECTIONS = [field.encode_name for field in msgspec.structs.fields(Settings)]


@given(st.dictionaries(st.sampled_from(SECTIONS), ANYTHING))
def test_any_tree_is_taken_or_refused(tree):
    refused(lambda: load(None, {}, tree))
