# SPDX-License-Identifier: Apache-2.0
"""An upstream whose manners are in the name of the model that it is asked to make.

``KIND-NUMBER`` is answered as KIND says; the answer always names the model that it is for.
``python bench/chaos.py`` prints its port.
"""

import asyncio
import re

import uvloop

BIG_BYTES = 300_000
"""More than is kept for a record."""
SLOW_S = 0.03
_NAME = re.compile(rb'"ModelName": ?"([a-z]+)-(\d+)"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def body(name: str, size: int = 0) -> bytes:
    """Return the answer for the model ``name``, padded to ``size``."""
    text = f'{{"ModelArn":"arn:aws:sagemaker:us-east-1:123456789012:model/{name}"'
    return text.encode() + b" " * max(0, size - len(text) - 1) + b"}"


def head(length: int) -> bytes:
    """Return the head of a good answer."""
    kind = b"content-type: application/x-amz-json-1.1\r\n"
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n" % (kind, length)


async def answer(kind: str, name: str, writer: asyncio.StreamWriter) -> bool:
    """Answer one request; return whether the connection stays open."""
    data = body(name, BIG_BYTES if kind == "big" else 0)
    if kind in ("slow", "left"):
        await asyncio.sleep(SLOW_S)
    if kind == "hang":
        await asyncio.sleep(60)
    if kind == "chunked":
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in (data[:20], data[20:]):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")
    elif kind == "garbage":
        writer.write(b"\x00\x01 what? \r\n\r\n" * 3)
    elif kind == "half":
        writer.write(head(len(data)) + data[:30])
    elif kind != "early":
        writer.write(head(len(data)) + data)
    await writer.drain()
    return kind not in ("garbage", "half", "early")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    open_ = True
    try:
        while open_:
            top = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(top)
            asked = _NAME.search(await reader.readexactly(int(length[1]) if length else 0))
            assert asked is not None, top
            kind = asked[1].decode()
            open_ = await answer(kind, f"{kind}-{asked[2].decode()}", writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
