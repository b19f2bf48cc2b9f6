"""OpenMined's PSI (ECDH on P-256): its three messages over one TCP connection."""

import socket
import struct
import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import private_set_intersection.python as psi
from party import Stopwatch, ids, meet, options


def main():
    role, case, port, _, hosts = options()
    items = ids(role, case)
    meet(role, port, hosts)
    link = connect(role, hosts[0], port + 1)
    watch = Stopwatch()
    if role == "sender":
        server = psi.server.CreateWithNewKey(True)
        setup = server.CreateSetupMessage(0.0, case["size_a"], items, psi.DataStructure.RAW)
        request = psi.Request()
        request.ParseFromString(receive(link))
        reply = server.ProcessRequest(request).SerializeToString()
        sent = send(link, setup.SerializeToString()) + send(link, reply)
        watch.report(version("openmined_psi"), case["matched"], sent)
        return
    client = psi.client.CreateWithNewKey(True)
    sent = send(link, client.CreateRequest(items).SerializeToString())
    setup, reply = psi.ServerSetup(), psi.Response()
    setup.ParseFromString(receive(link))
    reply.ParseFromString(receive(link))
    watch.report(version("openmined_psi"), len(client.GetIntersection(setup, reply)), sent)


def connect(role, host, port):
    if role == "receiver":
        with socket.create_server((host, port)) as server:
            return server.accept()[0]
    while True:
        try:
            return socket.create_connection((host, port))
        except OSError:
            time.sleep(0.005)


def send(link, data):
    link.sendall(struct.pack("<Q", len(data)) + data)
    return len(data) + 8


def receive(link):
    (size,) = struct.unpack("<Q", exactly(link, 8))
    return exactly(link, size)


def exactly(link, size):
    data = bytearray()
    while len(data) < size:
        part = link.recv(min(1 << 20, size - len(data)))
        if not part:
            raise ConnectionError("closed")
        data += part
    return bytes(data)


main()
