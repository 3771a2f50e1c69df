# SPDX-License-Identifier: Apache-2.0
"""Verification: whether log files and digests are what was delivered, and whether any are missing."""
