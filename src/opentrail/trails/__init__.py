# SPDX-License-Identifier: Apache-2.0
"""Trails: what they select, the log files they deliver, the digests that sign them."""
