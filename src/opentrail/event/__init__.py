# SPDX-License-Identifier: Apache-2.0
"""The CloudTrail event: its fields, its bytes."""
