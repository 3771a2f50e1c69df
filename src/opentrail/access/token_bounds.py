# SPDX-License-Identifier: Apache-2.0
"""What may be set for JSON Web Tokens. Without the library that reads them, so that it loads at once."""

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Signatures with a private key: whoever can check one cannot make one."""
SKEW_S_MAX = 300
"""The widest tolerance of clocks that may be set: beyond it expired tokens would be accepted."""
