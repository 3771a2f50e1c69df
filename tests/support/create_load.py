# SPDX-License-Identifier: Apache-2.0
"""Clients that make one resource after the other, and note which calls were answered.

Every call has a name of its own: of the model that it makes, and in its user agent, which a record
keeps even when nothing else of the call is known.
"""

import http.client
import itertools
import json
import math
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from support.aws_clients import Key, client
from support.signed_requests import KEY_ID, SECRET, Signer

AGENT = "create-load/"
ANSWER_S_MAX = 20.0
PAUSE_S = 0.02
"""Between two calls of one client: its neighbours on the machine want to run too."""
AGAIN_S = 0.05
"""Until a client whose connection broke tries another."""

_HEADERS = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "SageMaker.CreateModel"}


@dataclass
class Noted:
    """What the clients saw."""

    answered: dict[str, str] = field(default_factory=dict)
    """Name of a call -> the request id of its answer."""
    statuses: dict[int, int] = field(default_factory=dict)
    broken: int = 0
    """Calls that got no answer, or half of one."""
    answers_max: float = math.inf
    """So many answers, and the clients wait until there may be more."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, name: str, status: int, request_id: str) -> None:
        """Note a whole answer."""
        with self.lock:
            self.answered[name] = request_id
            self.statuses[status] = self.statuses.get(status, 0) + 1

    def breakage(self) -> None:
        """Note a call without an answer."""
        with self.lock:
            self.broken += 1


class Load:
    """Some clients, each a thread, that create models at ``endpoint`` until the end of a ``with``."""

    def __init__(self, endpoint: str, *, raw: int, boto: int) -> None:
        self.noted = Noted()
        self._endpoint = endpoint
        self._stop = threading.Event()
        self._works = [self._raw] * raw + [self._boto] * boto
        self._pool = ThreadPoolExecutor(len(self._works))
        self._running: list[Future[None]] = []

    def __enter__(self) -> Noted:
        self._running = [self._pool.submit(work, number) for number, work in enumerate(self._works)]
        return self.noted

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for running in self._running:
            running.result()

    def _goes_on(self) -> bool:
        """Return whether another call is to be made, once it may be."""
        while not self._stop.wait(PAUSE_S):
            if len(self.noted.answered) < self.noted.answers_max:
                return True
        return False

    def _raw(self, number: int) -> None:
        """Call over one kept connection, as long as it holds."""
        address = self._endpoint.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=ANSWER_S_MAX)
        signer = Signer()
        for count in itertools.count():
            if not self._goes_on():
                break
            name = f"raw-{number}-{count}"
            body = json.dumps({"ModelName": name}).encode()
            agent = {"user-agent": AGENT + name}
            signed = signer.sign(url=f"{self._endpoint}/", headers=_HEADERS | agent, body=body)
            try:
                connection.request("POST", "/", body, signed.head.headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self.noted.breakage()
                connection.close()
                self._stop.wait(AGAIN_S)
                continue
            self.noted.answer(name, answer.status, answer.headers["x-amzn-requestid"])
        connection.close()

    def _boto(self, number: int) -> None:
        """Call with boto3."""
        sagemaker = client("sagemaker", self._endpoint, Key(KEY_ID, SECRET))
        agent = ""

        def rename(request: Any, **_: object) -> None:
            request.headers["User-Agent"] = agent

        sagemaker.meta.events.register("before-sign.sagemaker.CreateModel", rename)
        for count in itertools.count():
            if not self._goes_on():
                break
            name = f"boto-{number}-{count}"
            agent = AGENT + name
            try:
                answer = sagemaker.create_model(ModelName=name)
            except ClientError as error:
                answer = error.response
            except (BotoCoreError, HTTPClientError):
                self.noted.breakage()
                self._stop.wait(AGAIN_S)
                continue
            said = answer["ResponseMetadata"]
            self.noted.answer(name, said["HTTPStatusCode"], said["RequestId"])
