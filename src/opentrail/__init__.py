# SPDX-License-Identifier: Apache-2.0
"""OpenTrail: a self-hosted audit trail that speaks AWS CloudTrail."""

__version__ = "2026.11.0"
