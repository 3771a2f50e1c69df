# SPDX-License-Identifier: Apache-2.0
"""Buckets: bulk bytes that are NOT trusted."""
