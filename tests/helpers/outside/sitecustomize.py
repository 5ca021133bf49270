"""Forbids a Python process every address off this machine; loaded by PYTHONPATH before anything else.

What was tried is written to the file that DAFNET_OUTSIDE names, and raises.
"""

import os
import sys

HOSTS = "localhost", "", None
WATCHED = "socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"


def is_inside(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    return host in HOSTS or str(host).startswith("127.") or str(host) == "::1"


def watch(event: str, arguments: tuple) -> None:
    if event not in WATCHED:
        return
    if event.startswith("socket.get"):
        host = arguments[0]
    else:
        address = arguments[1]
        if not isinstance(address, tuple):  # a Unix socket, or a socket that was connected before
            return
        host = address[0]
    if not is_inside(host):
        with open(os.environ["DAFNET_OUTSIDE"], "a") as log:
            log.write(f"{event} {host}\n")
        raise PermissionError(f"{event} to {host}: this process may not leave the machine")


sys.addaudithook(watch)
