# SPDX-License-Identifier: Apache-2.0
"""Makes the demo's calls with boto3, as three callers, and notes what came back."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore import xform_name
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from opentrail.cli.demo_steps import Actor, Step
from opentrail.cli.demo_world import REGION, Key, World
from opentrail.clock import Clock
from opentrail.errors import Unavailable

ANSWER_S_MAX = 10
"""Past this a call is lost: every upstream of the demo answers at once."""
ASKED_S_MAX = 10.0
"""How long a call is repeated until its answer says what it should."""
ASK_AGAIN_S = 0.25
"""Between two calls of the same step."""

_CONFIG = Config(
    connect_timeout=ANSWER_S_MAX,
    read_timeout=ANSWER_S_MAX,
    retries={"total_max_attempts": 1},  # the demo counts its calls
    inject_host_prefix=False,
    parameter_validation=False,  # what is wrong on purpose must reach the service
    proxies={},
)
_ALONE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "use_fips_endpoint": (None, None, False, None),
    "use_dualstack_endpoint": (None, None, False, None),
}
"""botocore's variables without their names in the environment: the user's own AWS settings must
not reach the demo."""


@dataclass(frozen=True, slots=True)
class Made:
    """A call that was made."""

    step: Step
    access_key_id: str
    request_id: str
    error: str
    """The code of the answer; empty when the call succeeded."""
    answered_s: float
    """When boto3 had the answer, on the monotonic clock."""


class Callers:
    """boto3 clients of the three actors; the role's key comes from AssumeRole on the way."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._keys: dict[Actor, Key] = {"user": world.user, "root": world.root}
        self._clients: dict[tuple[str, str], BaseClient] = {}
        self._sessions: dict[str, boto3.session.Session] = {}

    def run(self, steps: Sequence[Step]) -> Iterator[Made]:
        """Make the calls of ``steps`` in order. Raises: Unavailable: no answer came at all."""
        for step in steps:
            deadline = self._clock.monotonic() + ASKED_S_MAX
            while True:
                made, answer = self._call(step)
                yield made
                if _says(answer, step) or self._clock.monotonic() > deadline:
                    break
                self._world.server.pause(ASK_AGAIN_S)

    def ask(self, service: str, operation: str, **members: object) -> Mapping[str, Any]:
        """Call as the administrator, and return the answer. Raises: Unavailable: it was refused."""
        method = getattr(self.client(service, self._world.admin), xform_name(operation))
        try:
            answer: Mapping[str, Any] = method(**members)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"{operation} was refused: {error}") from error
        return answer

    def client(self, service: str, key: Key) -> BaseClient:
        """Return the client of ``service`` that signs with ``key``."""
        slot = (service, key.access_key_id)
        if slot not in self._clients:
            session = self._session(key)
            endpoint = self._world.endpoint
            self._clients[slot] = session.client(service, endpoint_url=endpoint, config=_CONFIG)
        return self._clients[slot]

    def _session(self, key: Key) -> boto3.session.Session:
        """Return the session of ``key``: it keeps what it has read of the services' models."""
        if key.access_key_id not in self._sessions:
            self._sessions[key.access_key_id] = boto3.session.Session(
                aws_access_key_id=key.access_key_id,
                aws_secret_access_key=key.secret_access_key,
                aws_session_token=key.session_token,
                region_name=REGION,
                botocore_session=botocore.session.Session(session_vars=_ALONE),
            )
        return self._sessions[key.access_key_id]

    def _call(self, step: Step) -> tuple[Made, Mapping[str, object]]:
        key = self._keys[step.actor]
        method = getattr(self.client(step.service, key), xform_name(step.operation))
        try:
            answer = method(**step.members)
        except ClientError as error:
            answer = error.response
        except BotoCoreError as error:
            raise Unavailable(f"{step.operation} got no answer: {error}") from error
        answered_s = self._clock.monotonic()
        if step.operation == "AssumeRole" and "Credentials" in answer:
            made = answer["Credentials"]
            self._keys["role"] = Key(
                made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]
            )
        code = answer.get("Error", {}).get("Code", "")
        request_id = answer["ResponseMetadata"].get("RequestId", "")
        return Made(step, key.access_key_id, request_id, code, answered_s), answer


def _says(answer: Mapping[str, object], step: Step) -> bool:
    """Whether ``answer`` says what the call is repeated for."""
    member, value = step.until or ("", None)
    return answer.get(member) == value
