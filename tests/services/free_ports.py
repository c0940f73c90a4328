#!/usr/bin/env python3
"""Prints free ports of this machine, as many as asked for.

Below the range from which the system takes the local ports of outgoing connections: there a port that was free a moment
ago, or whose server is being started again, may be taken by any client. Between 10000 and 20000, the tests themselves
take those above (`tests/support/daemon.rs`).
"""

import random
import socket
import sys

wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1
ports = []
for port in random.sample(range(10_000, 20_000), 1_000):
    if len(ports) == wanted:
        break
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
            ports.append(port)
        except OSError:
            pass
if len(ports) < wanted:
    sys.exit("no free ports between 10000 and 20000")
print(*ports)
