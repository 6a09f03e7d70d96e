"""Drop a client's connection in the middle of a request, as broken networks do."""

import os
import socket
import struct

from starlette.types import Send


def reset(send: Send) -> bool:
    """Abort the TCP connection of a request with a reset. `send` is the server's own, not a middleware's.

    Returns:
        False if the server does not show its connection (then close it by an incomplete answer).
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        return False
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Lingering for zero seconds turns close() into a reset. The option is the socket's, so a duplicate can set it.
        with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
            duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    return True
