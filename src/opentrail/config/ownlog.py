# SPDX-License-Identifier: Apache-2.0
"""The server's own log, on standard error: both its processes write it in the same form."""

import json
import logging
import sys

from opentrail.clock import iso_seconds

TEXT, JSON = "text", "json"


class _JsonLines(logging.Formatter):
    """One JSON object a line; control characters of what is quoted are escaped by JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": iso_seconds(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(form: str) -> None:
    """Have the process log to standard error, as ``TEXT`` or as ``JSON``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonLines()
        if form == JSON
        else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # below it libraries tell how they work
    logging.getLogger("opentrail").setLevel(logging.INFO)
