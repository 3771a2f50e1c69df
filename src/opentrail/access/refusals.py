# SPDX-License-Identifier: Apache-2.0
"""The errors of a call that is not let in, in AWS's words (IAM User Guide, "Troubleshoot SigV4").

They are made with the codes of the JSON protocols; ``in_protocol`` translates them for a caller
that speaks another one. No text repeats a signature, a secret, a token or a canonical request.
"""

from opentrail.errors import ClientError

_CODES = {
    "query": {
        "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
        "IncompleteSignatureException": ("IncompleteSignature", 400),
        "UnrecognizedClientException": ("InvalidClientTokenId", 403),
        "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
        "ExpiredTokenException": ("ExpiredToken", 403),
        "AccessDeniedException": ("AccessDenied", 403),
    },
    "ec2": {
        "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
        "IncompleteSignatureException": ("IncompleteSignature", 400),
        "UnrecognizedClientException": ("AuthFailure", 401),
        "InvalidSignatureException": ("AuthFailure", 401),
        "ExpiredTokenException": ("RequestExpired", 400),
        "AccessDeniedException": ("UnauthorizedOperation", 403),
    },
    "rest-xml": {
        "MissingAuthenticationTokenException": ("AccessDenied", 403),
        "IncompleteSignatureException": ("AuthorizationHeaderMalformed", 400),
        "UnrecognizedClientException": ("InvalidAccessKeyId", 403),
        "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
        "ExpiredTokenException": ("ExpiredToken", 400),
        "AccessDeniedException": ("AccessDenied", 403),
    },
}
"""Protocol -> code of the JSON protocols -> its own code and HTTP status."""


def in_protocol(error: ClientError, protocol: str) -> ClientError:
    """Return ``error`` as a service of ``protocol`` (as in ``Target.protocol``) would say it.

    The JSON 1.x protocols answer 400, REST-JSON and CBOR 403; errors that are not of this module
    come back unchanged.
    """
    if error.code not in _CODES["query"]:
        return error
    if protocol in _CODES:
        code, status = _CODES[protocol][error.code]
        return ClientError(code, error.message, status)
    if protocol in ("rest-json", "smithy-rpc-v2-cbor"):
        return ClientError(error.code, error.message, 403)
    return error


def missing_token() -> ClientError:
    """Return the error of a call that carries no signature at all."""
    return ClientError(
        "MissingAuthenticationTokenException", "Request is missing Authentication Token"
    )


def incomplete(reason: str) -> ClientError:
    """Return the error of a signature that lacks a part; ``reason`` names it."""
    return ClientError("IncompleteSignatureException", reason)


def unknown_key() -> ClientError:
    """Return the error of an access key (or session token) that nobody here knows."""
    return ClientError(
        "UnrecognizedClientException", "The security token included in the request is invalid."
    )


def bad_signature(reason: str) -> ClientError:
    """Return the error of a signature that is not good; ``reason`` says what to change."""
    return ClientError("InvalidSignatureException", reason)


def mismatch() -> ClientError:
    """Return the error of a signature that another secret, or another request, has made."""
    return bad_signature(
        "The request signature we calculated does not match the signature you provided."
        " Check your AWS Secret Access Key and signing method."
        " Consult the service documentation for details."
    )


def expired_token() -> ClientError:
    """Return the error of a session whose time is over."""
    return ClientError(
        "ExpiredTokenException", "The security token included in the request is expired"
    )


def access_denied(
    arn: str, action: str, resource: str = "*", *, explicitly: bool = False
) -> ClientError:
    """Return the error of principal ``arn`` whose policies do not allow ``action``.

    ``resource`` is what it was to be done to; ``explicitly``: a Deny says so.
    """
    upon = "" if resource == "*" else f" on resource: {resource}"
    why = (
        "with an explicit deny in an identity-based policy"
        if explicitly
        else f"because no identity-based policy allows the {action} action"
    )
    text = f"User: {arn} is not authorized to perform: {action}{upon} {why}"
    return ClientError("AccessDeniedException", text)
