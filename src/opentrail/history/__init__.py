# SPDX-License-Identifier: Apache-2.0
"""Event history: an index over the log's own records."""
