# SPDX-License-Identifier: Apache-2.0
"""Which bucket names and keys there may be.

Amazon S3 User Guide, "General purpose bucket naming rules" and "Naming Amazon S3 objects".
"""

import functools
import re

from opentrail.errors import ClientError

OBJECT_BYTES_MAX = 256 * 1024 * 1024
"""Largest object that is read at once: five times the largest log file, uncompressed."""
KEY_BYTES_MAX = 1024
"""S3's bound on a key, in UTF-8."""
SEGMENT_BYTES_MAX = 255
"""What ext4, XFS and APFS hold in one name."""
FOLDERS_CACHED = 1024
"""Of keys one after another most lie in the same folder."""
OWN_FOLDER = ".opentrail"
"""In a directory bucket: ours. No key begins there."""

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_name(name: str) -> None:
    """Check a bucket's name. Raises: ClientError InvalidBucketName."""
    good = (
        _NAME.fullmatch(name) is not None
        and ".." not in name
        and _ADDRESS.fullmatch(name) is None
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
    )
    if not good:
        raise ClientError("InvalidBucketName", "The specified bucket is not valid.")


def segments_of(key: str) -> tuple[str, ...]:
    """Return the names that ``key`` is made of, as a directory bucket keeps it.

    The last one is empty when the key ends in "/". Raises: ClientError: KeyTooLongError, or
    InvalidArgument for what S3 could hold and a file system cannot, or must not.
    """
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise _unfit("is not UTF-8") from None
    if length > KEY_BYTES_MAX:
        raise ClientError("KeyTooLongError", "Your key is too long")
    if not key or "\0" in key:
        raise _unfit("is empty or has a zero byte")
    folder, slash, last = key.rpartition("/")
    names = (*(_folders(folder) if slash else ()), *(_names(last) if last else ("",)))
    if names[0] == OWN_FOLDER:
        raise _unfit(f"begins with {OWN_FOLDER}/")
    return names


def _names(path: str) -> tuple[str, ...]:
    names = tuple(path.split("/"))
    if any(name in ("", ".", "..") for name in names):
        raise _unfit("has an empty part, '.' or '..'")
    if any(len(name.encode()) > SEGMENT_BYTES_MAX for name in names):
        raise _unfit(f"has a part longer than {SEGMENT_BYTES_MAX} bytes")
    return names


_folders = functools.lru_cache(maxsize=FOLDERS_CACHED)(_names)


def _unfit(why: str) -> ClientError:
    return ClientError("InvalidArgument", f"A directory bucket cannot hold a key that {why}.")


def no_such_key() -> ClientError:
    """Return the error of a key that is not there."""
    return ClientError("NoSuchKey", "The specified key does not exist.", 404)


def no_such_bucket() -> ClientError:
    """Return the error of a bucket that is not there."""
    return ClientError("NoSuchBucket", "The specified bucket does not exist", 404)
