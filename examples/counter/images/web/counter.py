"""A page that counts its visitors in Redis."""

import json
import signal
import socket
import socketserver

GREETING = open("/usr/local/lib/greeting").read()


def where():
    """Where Redis is now, and its password: both are files that scs keeps up to date."""
    endpoints = json.load(open("/run/scs/require/redis.json"))["endpoints"]
    return endpoints[0]["host"], endpoints[0]["port"], open("/run/secrets/REDIS_PASSWORD").read()


def count():
    with socket.create_connection(redis[:2], timeout=3) as connection:
        connection.sendall(f"AUTH {redis[2]}\r\nINCR visits\r\n".encode())
        answers = connection.makefile("rb")
        answers.readline()
        return int(answers.readline()[1:])


class Visit(socketserver.StreamRequestHandler):
    def handle(self):
        path = self.rfile.readline().decode().split()[1]
        while self.rfile.readline().strip():
            pass
        try:
            status, text = "200 OK", "ok" if path == "/health" else f"{GREETING}, visitor {count()}!"
        except (OSError, ValueError) as error:
            status, text = "503 Service Unavailable", f"cannot count: {error}"
        self.wfile.write(f"HTTP/1.0 {status}\r\nContent-Type: text/plain\r\n\r\n{text}\n".encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def told(*_):
    """scs sends HUP after it has written the files anew."""
    global redis
    redis = where()
    print(f"Redis is at {redis[0]}:{redis[1]}", flush=True)


signal.signal(signal.SIGHUP, told)
signal.signal(signal.SIGTERM, lambda *_: exit(0))
told()
Server(("", 80), Visit).serve_forever()
