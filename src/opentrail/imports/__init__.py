# SPDX-License-Identifier: Apache-2.0
"""Log files made elsewhere, taken into a log of OpenTrail's."""
