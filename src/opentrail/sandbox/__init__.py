# SPDX-License-Identifier: Apache-2.0
"""A labelled in-memory stand-in for services that no library offers: never more than that."""
