# SPDX-License-Identifier: Apache-2.0
"""What all tests share."""

import signal

# A run in the background of a shell has SIGINT ignored, one under nohup SIGHUP, and programs that a test
# starts would inherit that: they could not be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
