# SPDX-License-Identifier: Apache-2.0
"""AWS's wire protocols, from the service models: no I/O here."""
