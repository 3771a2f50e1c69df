# SPDX-License-Identifier: Apache-2.0
"""``opentrail env``: the settings of a client, in the form of its shell."""

import shlex
from pathlib import Path

import click
from cryptography import x509

from opentrail.access.credentials import read_credentials
from opentrail.cli.options import Command, settings_of, settings_options, shared_flags
from opentrail.config import LISTEN_DEFAULT, REGION_DEFAULT, Listen, Settings, split_address
from opentrail.errors import UsageError
from opentrail.event.safe import safe
from opentrail.eventlog.lock import last_address
from opentrail.front.keys import credentials_file

Variables = dict[str, str]


@click.command("env", cls=Command)
@settings_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["sh", "fish", "powershell", "dotenv", "terraform"]),
    default="sh",
    show_default=True,
    help="Whose form to print.",
)
def command(config: Path | None, form: str, **flags: str | None) -> None:
    """Print a client's settings, in the form of its shell.

    The endpoint, a key, the region, no proxy for it, and no prefixes before its name. Of a server
    whose certificate only its own CA vouches for (listen.tls_ca, or a self-signed one) also that.

      eval "$(opentrail env)"                          sh, bash, zsh
      opentrail env --format fish | source             fish
      opentrail env --format powershell | iex          PowerShell
      opentrail env --format dotenv > .env             docker, direnv
      opentrail env --format terraform > provider.tf   Terraform

    It holds the administrator's secret key: treat the output as you treat the key.
    """
    settings = settings_of(config, shared_flags(flags))
    click.echo(_FORMS[form](client_variables(settings)))
    there = last_server(settings)
    if settings.listen.address == LISTEN_DEFAULT and there not in ("", LISTEN_DEFAULT):
        said = (
            f"the last server of {settings.data_dir} listened on {there}; for that one add --listen"
        )
        click.echo(f"opentrail: {safe(f'{said} {there}')}", err=True)


def client_variables(settings: Settings) -> Variables:
    """Return the environment of a client. Raises: UsageError: the server was never started."""
    file = credentials_file(settings)
    if not file.exists():
        raise UsageError(
            f"no key in {settings.data_dir}: start `opentrail serve` once, or name its --data"
        )
    key = read_credentials(file, settings.account)
    host, port = split_address(settings.listen.address)
    if not port:
        raise UsageError("port 0 is chosen at each start: name the server's with --listen")
    shown = client_host(host)
    scheme = "https" if settings.listen.tls_cert else "http"
    ca = ca_of(settings.listen)
    return {
        "AWS_ENDPOINT_URL": f"{scheme}://{host_and_port(shown, port)}",
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        # A proxy would be asked for 127.0.0.1, and reach its own.
        "NO_PROXY": shown,
        "no_proxy": shown,
        # Else clients dial "api.127.0.0.1" for operations with a host prefix.
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        **({"AWS_CA_BUNDLE": ca, "NODE_EXTRA_CA_CERTS": ca} if ca else {}),
    }


def ca_of(listen: Listen) -> str:
    """Return the file of the CAs that the listener's certificate is trusted by; "": clients' own.

    Raises: UsageError: the certificate cannot be read.
    """
    file = listen.tls_ca
    if not file and listen.tls_cert:
        try:
            certificates = x509.load_pem_x509_certificates(Path(listen.tls_cert).read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(
                f"listen.tls_cert: {listen.tls_cert} cannot be read: it must be certificates (PEM)"
            ) from error
        if any(each.subject == each.issuer for each in certificates):
            file = listen.tls_cert
    return str(Path(file).resolve()) if file else ""


def eval_command(settings: Settings, host: str, port: int) -> str:
    """Return what gives a shell the settings of a client, in whatever directory it is run.

    ``host`` and ``port`` are where the server listens.
    """
    listen, address = settings.listen, host_and_port(client_host(host), port)
    flags = ["--data", str(settings.data_dir.resolve()), "--listen", address]
    if settings.region != REGION_DEFAULT:
        flags += ["--region", settings.region]
    files = {"CERT": listen.tls_cert, "KEY": listen.tls_key, "CA": listen.tls_ca}
    tls = [  # for what is no flag
        f"OPENTRAIL_LISTEN_TLS_{name}={shlex.quote(str(Path(file).resolve()))}"
        for name, file in files.items()
        if file
    ]
    return f'eval "$({" ".join([*tls, "opentrail env", shlex.join(flags)])})"'


def last_server(settings: Settings) -> str:
    """Return where a client asks the last server of the data directory; "" when it is not known."""
    try:
        host, port = split_address(last_address(settings.data_dir))
    except UsageError:  # no server's: fsck's, or none
        return ""
    return host_and_port(client_host(host), port)


def client_host(host: str) -> str:
    """Return where a client on this machine asks for a server that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # only compared


def host_and_port(host: str, port: int) -> str:
    """Return HOST:PORT as a URL has it: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_OF_OTHER_KEYS = ("AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION")
"""What a shell may have of a session (``aws configure export-credentials``): with it no call of another key holds."""


def sh_form(variables: Variables) -> str:
    """Return ``variables`` as a POSIX shell sets them."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*lines, f"unset {' '.join(_OF_OTHER_KEYS)}"])


def _fish(variables: Variables) -> str:
    lines = [f"set -gx {name} {shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*lines, f"set -e {' '.join(_OF_OTHER_KEYS)}"])


def _powershell(variables: Variables) -> str:
    lines = []
    for name, value in variables.items():
        quoted = value.replace("'", "''")
        lines.append(f"$Env:{name} = '{quoted}'")
    lines += [f"Remove-Item Env:{name} -ErrorAction Ignore" for name in _OF_OTHER_KEYS]
    return "\n".join(lines)


def _dotenv(variables: Variables) -> str:
    return "\n".join(f"{name}={value}" for name, value in variables.items())


def _terraform(variables: Variables) -> str:
    return f"""provider "aws" {{
  region                      = "{variables["AWS_REGION"]}"
  access_key                  = "{variables["AWS_ACCESS_KEY_ID"]}"
  secret_key                  = "{variables["AWS_SECRET_ACCESS_KEY"]}"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
{_terraform_ca(variables)}
  endpoints {{
    cloudtrail = "{variables["AWS_ENDPOINT_URL"]}"
    iam        = "{variables["AWS_ENDPOINT_URL"]}"
    s3         = "{variables["AWS_ENDPOINT_URL"]}"
    sagemaker  = "{variables["AWS_ENDPOINT_URL"]}"
    sts        = "{variables["AWS_ENDPOINT_URL"]}"
  }}
}}"""


def _terraform_ca(variables: Variables) -> str:
    ca = variables.get("AWS_CA_BUNDLE", "")
    quoted = ca.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
    return f'  custom_ca_bundle            = "{quoted}"\n' if ca else ""


_FORMS = {
    "sh": sh_form,
    "fish": _fish,
    "powershell": _powershell,
    "dotenv": _dotenv,
    "terraform": _terraform,
}
