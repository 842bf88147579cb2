"""A log proxy that takes everything and keeps nothing: sink.py SOCKET; says "ready"."""

import os
import socket
import sys
import threading


def take(connection):
    buffer = bytearray(1 << 20)
    while connection.recv_into(buffer):
        pass


server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(16)
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    threading.Thread(target=take, args=(connection,), daemon=True).start()
