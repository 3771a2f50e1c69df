# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy: CONNECT for https, absolute targets for http; one connection, one target."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIECE_BYTES = 65_536


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(PIECE_BYTES):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _serve(client: socket.socket, asked: list[bytes]) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(PIECE_BYTES)
    asked.append(head.split(b"\r\n")[0])
    method, target, _ = asked[-1].split(b" ")
    place = target if method == b"CONNECT" else target.split(b"/")[2]
    host, _, port = place.decode().rpartition(":")
    with client, socket.create_connection((host, int(port))) as there:
        if method == b"CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            there.sendall(head.replace(b"http://" + place, b"", 1))
        back = threading.Thread(target=_copy, args=(there, client), daemon=True)
        back.start()
        _copy(client, there)
        back.join(10)


@contextmanager
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """Yield the address of a proxy, and the first lines of what it was asked."""
    asked: list[bytes] = []

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=_serve, args=(client, asked), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)
