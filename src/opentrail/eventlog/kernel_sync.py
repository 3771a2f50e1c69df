# SPDX-License-Identifier: Apache-2.0
"""fdatasync by the kernel's own asynchronous I/O: no thread of ours waits for the disk.

After io_submit(2), IOCB_CMD_FDSYNC: the kernel does what fdatasync(2) does, and tells an eventfd when it
is done. A thread that waits in fdatasync must win the interpreter back from the busy event loop for
every step, which costs both of them more than the steps.
"""

import ctypes
import errno
import os
import struct
import sys
from typing import Self

_NUMBERS = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
"""io_setup, io_destroy, io_getevents, io_submit (the kernel's syscall tables)."""
_FDSYNC = 3
"""IOCB_CMD_FDSYNC (linux/aio_abi.h); kernels take it since 4.18."""
_RESFD = 1
"""IOCB_FLAG_RESFD: tell the eventfd."""
_IOCB = struct.Struct("<QIiHhIQQqQII")
"""aio_data, aio_key, aio_rw_flags, aio_lio_opcode, aio_reqprio, aio_fildes, aio_buf, aio_nbytes,
aio_offset, aio_reserved2, aio_flags, aio_resfd."""
_EVENT = struct.Struct("<QQqq")
"""data, obj, res, res2."""


class KernelSync:
    """One fdatasync at a time. ``fileno`` becomes readable when it has come back."""

    def __init__(self, context: ctypes.c_ulong, numbers: tuple[int, int, int, int]) -> None:
        """See ``open``."""
        _, self._destroy, self._getevents, self._submit = numbers
        self._context = context
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        self._syscall.restype = ctypes.c_long
        self._eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._iocb = ctypes.create_string_buffer(_IOCB.size)
        self._one = (ctypes.c_void_p * 1)(ctypes.addressof(self._iocb))
        self._event = ctypes.create_string_buffer(_EVENT.size)

    @classmethod
    def open(cls) -> Self | None:
        """Return one; None where the system has none, or lets nobody use it."""
        numbers = _NUMBERS.get(os.uname().machine)
        if sys.platform != "linux" or numbers is None:
            return None
        context = ctypes.c_ulong(0)
        setup = ctypes.CDLL(None, use_errno=True).syscall
        if setup(ctypes.c_long(numbers[0]), ctypes.c_uint(1), ctypes.byref(context)) != 0:
            return None
        return cls(context, numbers)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._eventfd

    def begin(self, fd: int) -> None:
        """Have ``fd`` synced. Raises: OSError: the kernel does not take it: nothing was begun."""
        _IOCB.pack_into(self._iocb, 0, 0, 0, 0, _FDSYNC, 0, fd, 0, 0, 0, 0, _RESFD, self._eventfd)
        done = self._syscall(
            ctypes.c_long(self._submit), self._context, ctypes.c_long(1), ctypes.byref(self._one)
        )
        if done != 1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def finish(self) -> None:
        """Wait until the sync has come back. Raises: OSError: what it failed with."""
        done = 0
        while done != 1:
            done = self._syscall(
                ctypes.c_long(self._getevents),
                self._context,
                ctypes.c_long(1),
                ctypes.c_long(1),
                ctypes.byref(self._event),
                None,
            )
            if done < 0 and ctypes.get_errno() != errno.EINTR:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        os.eventfd_read(self._eventfd)
        result = _EVENT.unpack(self._event.raw)[2]
        if result < 0:
            raise OSError(-result, os.strerror(-result))

    def close(self) -> None:
        """Give it back; nothing may be under way."""
        self._syscall(ctypes.c_long(self._destroy), self._context)
        os.close(self._eventfd)
