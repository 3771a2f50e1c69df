# SPDX-License-Identifier: Apache-2.0
"""The append-only log of records: the only place where the rooms meet."""
