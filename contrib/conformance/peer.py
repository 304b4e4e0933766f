"""A client of disco/1 that says exactly what it is told to, and the list of checks. Python 3, standard library alone.

One thread drives every connection: while a check waits for something, each client goes on saying `ping` in time and acknowledges what it is
told, unless the check wants it otherwise.
"""

import argparse
import collections
import json
import os
import selectors
import socket
import ssl
import sys
import time
import traceback

# The table of docs/protocol.md.
CODES = {
    "parse": -32700, "invalid_request": -32600, "method_not_found": -32601, "invalid_params": -32602, "internal": -32603,
    "protocol_mismatch": -32001, "session_state": -32002, "owned_by_other": -32003, "stale_incarnation": -32004,
    "unknown_requirement": -32005, "gap": -32006, "limit": -32007, "unavailable": -32008,
    "forbidden": -32009,
}

# A line with its end.
LINE = 1024 * 1024

# Characters shown of what a failed check saw.
WORDS = 1500

# Longer than anything here takes on a busy machine, counted from the last sign of progress.
PATIENCE = 30.0


class Refused(Exception):
    """The server answered with an error; `code` is its word."""

    def __init__(self, error):
        super().__init__(f"{error['message']} ({error.get('data', {}).get('code')})")
        self.code = error.get("data", {}).get("code")
        self.limit = error.get("data", {}).get("limit")
        assert CODES.get(self.code) == error["code"], f"number and word do not belong together: {error}"


class Skipped(Exception):
    """What a check needs is not there."""


class Server:
    """Where the server is, and every connection to it."""

    def __init__(self, options):
        host, _, port = options.address.rpartition(":")
        self.address = (host.strip("[]"), int(port))
        self.options = options
        # By the files of the certificate: a host can only be itself.
        self.contexts = {}
        self.name = options.server_name or self.address[0]
        self.pid = options.pid
        self.selector = selectors.DefaultSelector()
        self.clients = []
        # Every session of a check, whatever became of its connections.
        self.sessions = {}

    def context(self, who):
        """TLS with the certificate of a host, or of `conformance` where it has none of its own."""
        files = self.options.cert, self.options.key
        if all(files):
            own, other = (tuple(file.replace("{host}", host) for file in files) for host in (who, "conformance"))
            files = own if os.path.exists(own[0]) else other
        if files not in self.contexts:
            context = ssl.create_default_context(cafile=self.options.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            if all(files):
                context.load_cert_chain(*files)
            self.contexts[files] = context
        return self.contexts[files]

    def connect(self, who):
        stream = socket.create_connection(self.address, timeout=PATIENCE)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.options.ca:
            stream = self.context(who).wrap_socket(stream, server_hostname=self.name)
        stream.setblocking(False)
        return stream

    def turn(self, pause):
        """Reads and writes whatever can be, and pings where it is time to."""
        for client in self.clients:
            client.keep_alive()
        for key, events in self.selector.select(pause):
            key.data.ready(events)

    def wait(self, what, condition):
        """Until `condition()` is something; fails with the words when it takes too long."""
        started = time.monotonic()
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() - started < PATIENCE, f"waited {PATIENCE:.0f} s for {what}"
            self.turn(0.02)

    def pause(self, seconds):
        """For what can only be seen by time passing: that something does not happen."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.turn(0.02)

    def close_all(self):
        """Ends every session: hosts that only fell silent would be what the next check's server sees."""
        for client in list(self.clients):
            client.cut()
        try:
            for session, (token, who) in list(self.sessions.items()):
                with Client(self, "done", who=who, resume={"session": session, "token": token}) as client:
                    client.ask("session.close")
        except OSError:
            pass  # The last check has ended the server.


class Client:
    """One connection, and its session if it has opened one."""

    def __init__(self, server, agent=None, host=None, open=True, who=None, **members):
        self.server = server
        # Whose certificate it shows, where there are certificates.
        who = who or host or agent or "conformance"
        self.stream = server.connect(who)
        self.input, self.output = b"", b""
        self.closed = False
        # Requests have numbers, their answers wait here.
        self.numbers, self.answers = 0, {}
        # What answered nothing that was asked: answers with `id: null`.
        self.strays = []
        # What the server told, by requirement; and what it said besides.
        self.told, self.said = collections.defaultdict(collections.deque), []
        self.calls = 0
        self.pings, self.receipts, self.reads = True, True, True
        self.heartbeat, self.spoke = None, time.monotonic()
        server.clients.append(self)
        server.selector.register(self.stream, selectors.EVENT_READ, self)
        self.agent = agent
        if open:
            attributes = dict(members.pop("attributes", {}))
            if host:
                attributes["host"] = host
            self.opened = self.ask("session.open", protocol="disco/1", agent=agent or "conformance", attributes=attributes,
                                   **members)
            self.heartbeat = self.opened["heartbeat"] / 1000
            server.sessions[self.opened["session"]] = self.opened["token"], who

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()

    # What goes out.

    def write(self, data):
        """Bytes, as they are."""
        self.output += data
        self.spoke = time.monotonic()
        self.flush()

    def line(self, message):
        self.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def notify(self, method, **params):
        self.line({"jsonrpc": "2.0", "method": method, "params": params})

    def begin(self, method, **params):
        """Asks; the answer is for `answer` to wait for."""
        self.numbers += 1
        self.line({"jsonrpc": "2.0", "id": self.numbers, "method": method, "params": params})
        return self.numbers

    def answer(self, number):
        message = self.server.wait(f"the answer to request {number} of {self.agent}",
                                   lambda: self.answers.pop(number, None) or self.over(number))
        if "error" in message:
            raise Refused(message["error"])
        return message["result"]

    def over(self, number):
        assert not self.closed, f"the connection of {self.agent} was closed before request {number} was answered"

    def ask(self, method, **params):
        return self.answer(self.begin(method, **params))

    def refused(self, method, **params):
        """The word of the error that this is answered with."""
        try:
            result = self.ask(method, **params)
        except Refused as refusal:
            return refusal.code
        raise AssertionError(f"{method} {params} was not refused: {result}")

    def keep_alive(self):
        if self.heartbeat and self.pings and not self.closed and time.monotonic() - self.spoke > self.heartbeat / 3:
            self.line({"jsonrpc": "2.0", "method": "ping"})

    # What comes in.

    def reading(self, reads):
        """Whether it takes what the server sends."""
        self.reads = reads
        self.register()

    def register(self):
        events = (selectors.EVENT_READ if self.reads else 0) | (selectors.EVENT_WRITE if self.output else 0)
        if self.closed:
            return
        try:
            self.server.selector.unregister(self.stream)
        except KeyError:
            pass
        if events:
            self.server.selector.register(self.stream, events, self)

    def ready(self, events):
        if events & selectors.EVENT_WRITE:
            self.flush()
        if events & selectors.EVENT_READ and self.reads:
            self.read()

    def flush(self):
        while self.output and not self.closed:
            try:
                count = self.stream.send(self.output[:256 * 1024])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                break
            except OSError:
                # Whatever it still had to say is there to be read.
                self.output = b""
                break
            self.output = self.output[count:]
        self.register()

    def read(self):
        while True:
            try:
                data = self.stream.recv(256 * 1024)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError:
                data = b""
            if not data:
                self.cut()
                break
            self.input += data
        *lines, self.input = self.input.split(b"\n")
        for line in lines:
            assert len(line) < LINE, "the server sent a line that is too long"
            self.hear(json.loads(line.decode("utf-8")))

    def hear(self, message):
        assert message.get("jsonrpc") == "2.0", message
        if "method" not in message:
            if message["id"] is None:
                self.strays.append(message)
            else:
                self.answers[message["id"]] = message
            return
        self.calls += 1
        params = message.get("params", {})
        if message["method"] in ("changed", "snapshot", "reset"):
            params["method"], params["call"] = message["method"], message.get("id")
            self.told[params["id"]].append(params)
        else:
            self.said.append(message)
        if "id" in message and self.receipts:
            self.received(message["id"])

    def received(self, call):
        self.line({"jsonrpc": "2.0", "id": call, "result": {}})

    def next(self, requirement):
        """The next thing that is told of a requirement."""
        told = self.told[requirement]
        self.server.wait(f"news of {requirement} for {self.agent}", lambda: told or self.over_told(requirement))
        return told.popleft()

    def over_told(self, requirement):
        assert not self.closed, f"the connection of {self.agent} was closed while it waited for news of {requirement}"

    def quiet(self, requirement):
        """Nothing was told of a requirement: everything is in order on a connection, so what had been would come before the answer."""
        self.ask("ping")
        assert not self.told[requirement], f"{requirement} was told {list(self.told[requirement])}"

    def goodbye(self):
        """Waits until the server has closed the connection."""
        self.server.wait(f"the server to close the connection of {self.agent}", lambda: self.closed)

    def cut(self):
        """Ends the connection without a word."""
        if not self.closed:
            self.closed = True
            try:
                self.server.selector.unregister(self.stream)
            except KeyError:
                pass
            self.stream.close()
            if self in self.server.clients:
                self.server.clients.remove(self)


CHECKS = []


def check(what):
    """Declares one: the words are what the page says."""
    return lambda function: CHECKS.append((function.__globals__.get("section"), what, function)) or function


def run(about):
    """Runs every check in the order of the page; the exit status of the program."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--address", required=True, metavar="HOST:PORT", help="where the server listens")
    parser.add_argument("--ca", help="certificates that the server's is issued by; the connection is TLS")
    parser.add_argument("--cert", help="the client's certificate; `{host}` in it stands for the host that a client is, and a client "
                        "that is none, or whose file is not there, takes that of `conformance`")
    parser.add_argument("--key", help="its key, likewise")
    parser.add_argument("--server-name", help="the name in the server's certificate, if not HOST")
    parser.add_argument("--pid", type=int, help="the server's process: it is stopped for a while and, last of all, ended")
    parser.add_argument("--environment", default=f"conformance-{os.urandom(4).hex()}",
                        help="what every name begins with; one of its own by default, so that any server will do")
    parser.add_argument("--only", default="", help="those whose words hold this")
    options = parser.parse_args()
    passed = failed = skipped = 0
    section = None
    for heading, what, function in CHECKS:
        if options.only not in what:
            continue
        if heading != section:
            section = heading
            print(f"\n{section}")
        server = Server(options)
        # A service of its own for each check: what one leaves behind does not concern the next.
        place = f"{options.environment}/s{passed + failed + skipped}"
        try:
            function(server, place)
        except Skipped as why:
            skipped += 1
            print(f"– {what} (skipped: {why})")
        except Exception as error:
            failed += 1
            print(f"✘ {what}")
            words = str(error) if isinstance(error, Refused) or str(error) else repr(error)
            frame = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__][-1]
            print(f"    line {frame.lineno}: {frame.line}\n    {words[:WORDS]}")
        else:
            passed += 1
            print(f"✔ {what}")
        finally:
            server.close_all()
            sys.stdout.flush()
    print(f"\n{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0
