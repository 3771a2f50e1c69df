# SPDX-License-Identifier: Apache-2.0
"""From an observed API call to a CloudTrail record."""
