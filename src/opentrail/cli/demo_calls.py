# SPDX-License-Identifier: Apache-2.0
"""Makes the demo's calls with boto3, as three callers, and notes what came back.

boto3 belongs to the demo extra, so it is loaded when the first call is made.
"""

import importlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opentrail.cli.demo_steps import Actor, Step
from opentrail.cli.demo_world import REGION, Key, World
from opentrail.clock import Clock
from opentrail.errors import Unavailable

READ_TIMEOUT_S = 10
"""Past this a call is lost: every upstream of the demo answers at once."""
ASKED_S_MAX = 10.0
"""How long a call is repeated until its answer says what it should."""
ASK_AGAIN_S = 0.25


@dataclass(frozen=True, slots=True)
class Made:
    """A call that was made."""

    step: Step
    key: Key
    request_id: str
    error: str
    """The code of the answer; empty when the call succeeded."""
    answered_s: float
    """When boto3 had the answer, on the monotonic clock."""


class Callers:
    """boto3 clients of the three actors; the role's session is learned from STS on the way."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._keys: dict[Actor, Key] = {"user": world.user, "root": world.root}
        self._clients: dict[tuple[str, str], Any] = {}
        self._core = _core()

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

    def cloudtrail(self) -> Any:  # noqa: ANN401 - boto3 makes its clients' types at run time
        """Return a client of CloudTrail itself, with the administrator's key."""
        return self._client("cloudtrail", self._world.admin)

    def _call(self, step: Step) -> tuple[Made, dict[str, Any]]:
        errors = importlib.import_module("botocore.exceptions")
        key = self._keys[step.actor]
        client = self._client(step.service, key)
        method = importlib.import_module("botocore").xform_name(step.operation)
        try:
            answer = getattr(client, method)(**step.members)
        except errors.ClientError as error:
            answer = error.response
        except errors.BotoCoreError as error:
            raise Unavailable(f"{step.operation} got no answer: {error}") from error
        answered_s = self._clock.monotonic()
        if step.operation == "AssumeRole" and "Credentials" in answer:
            self._keys["role"] = _session_key(answer["Credentials"])
        code = answer.get("Error", {}).get("Code", "")
        request_id = answer["ResponseMetadata"].get("RequestId", "")
        return Made(step, key, request_id, code, answered_s), answer

    def _client(self, service: str, key: Key) -> Any:  # noqa: ANN401 - as above
        slot = (service, key.access_key_id)
        if slot not in self._clients:
            self._clients[slot] = self._new_client(service, key)
        return self._clients[slot]

    def _new_client(self, service: str, key: Key) -> Any:  # noqa: ANN401 - as above
        config = importlib.import_module("botocore.config").Config(
            connect_timeout=READ_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            # Every call once: the demo counts them.
            retries={"total_max_attempts": 1},
            inject_host_prefix=False,
            # What is wrong on purpose must reach the service.
            parameter_validation=False,
            proxies={},
        )
        session = importlib.import_module("boto3.session").Session(
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            aws_session_token=key.session_token,
            region_name=REGION,
            botocore_session=self._core,
        )
        return session.client(service, endpoint_url=self._world.endpoint, config=config)


def _core() -> Any:  # noqa: ANN401 - as above
    """Return a botocore session that sees nothing of the user's own AWS settings."""
    core = importlib.import_module("botocore.session").Session()
    core.set_config_variable("config_file", os.devnull)
    core.set_config_variable("credentials_file", os.devnull)
    core.set_config_variable("profile", None)
    return core


def _session_key(credentials: dict[str, str]) -> Key:
    return Key(
        credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]
    )


def _says(answer: dict[str, Any], step: Step) -> bool:
    """Whether ``answer`` says what the call is repeated for."""
    if step.until is None:
        return True
    member, value = step.until
    return bool(answer.get(member) == value)
