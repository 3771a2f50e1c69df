# SPDX-License-Identifier: Apache-2.0
"""Small, compare-and-swap, trusted: trails, cursors, digests, tags."""
