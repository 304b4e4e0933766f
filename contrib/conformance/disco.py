#!/usr/bin/env python3
"""Drives a running disco server through everything that docs/protocol.md says, in the order of that page.

    disco.py --address 127.0.0.1:7373
    disco.py --address disco.example:7373 --ca ca.pem --cert client.pem --key client.key

It takes an environment of its own, so it may be pointed at a server in use, and twice at once. A line for each check; the exit status is 1 if any
failed. Read it as the page's second half: what each sentence means in lines.
"""

import json
import os
import signal
import socket
import sys
import time

from peer import LINE, Client, Refused, Skipped, check, run

section = "Lines"


def provision(place, role="mysql", endpoint="mysql", instance="a", port=3306, **members):
    return {"name": f"{place}/{role}/{endpoint}", "instance": instance, "host": "192.0.2.11", "port": port, **members}


def identity(place, role="mysql", endpoint="mysql", instance="a"):
    return {"name": f"{place}/{role}/{endpoint}", "instance": instance}


def keys(endpoints):
    return sorted(f"{endpoint['name'].split('/')[2]}/{endpoint['instance']}" for endpoint in endpoints)


def dropped(change):
    return [(gone["key"], gone["reason"]) for gone in change.get("drop", [])]


def stray(client):
    """The word of the next error that answers nothing in particular."""
    message = client.server.wait("an error without an id", lambda: client.strays and client.strays.pop(0))
    return Refused(message["error"]).code


def subscribe(client, place, requirement="db", role="mysql", endpoint="mysql", **members):
    """Requires, waits until the server has heard of everyone, and returns what there is by key."""
    change = client.ask("require", id=requirement, name=f"{place}/{role}/{endpoint}", **members)
    has = {keys([endpoint])[0]: endpoint for endpoint in change.get("add", [])}
    while not change["complete"]:
        change = client.next(requirement)
        has.update({keys([endpoint])[0]: endpoint for endpoint in change.get("add", [])})
    client.seq = change["seq"]
    return has


@check("a line may end in CR LF, and empty lines are skipped")
def _(server, place):
    with Client(server) as client:
        client.write(b"\n\r\n" + b'{"jsonrpc":"2.0","id":"crlf","method":"ping"}\r\n' + b"\n")
        assert "result" in server.wait("the answer", lambda: client.answers.get("crlf"))


@check("lines are lines however the network cuts them")
def _(server, place):
    with Client(server) as client:
        for byte in b'{"jsonrpc":"2.0","id":"bytes","method":"ping"}\n':
            client.write(bytes([byte]))
        client.write(b"".join(b'{"jsonrpc":"2.0","id":"%d","method":"ping"}\n' % number for number in range(100)))
        server.wait("every answer", lambda: {"bytes", *map(str, range(100))} <= client.answers.keys())


@check("what is not JSON is answered with `parse`, and the conversation goes on")
def _(server, place):
    with Client(server) as client:
        for line in (b"hello", b'{"jsonrpc":"2.0",', b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}', b"\x00\x01", b"{}}"):
            client.write(line + b"\n")
            word = stray(client)
            assert word == "parse", f"{line} was answered with {word}"
        client.ask("ping")


@check("what is JSON and no message is answered with `invalid_request`, and the conversation goes on")
def _(server, place):
    with Client(server) as client:
        for line in ("{}", "[]", "7", '{"jsonrpc":"2.0"}', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
                     '{"jsonrpc":"2.0","id":-1,"method":"ping"}', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
                     json.dumps({"jsonrpc": "2.0", "id": "x" * 254, "method": "ping"})):
            client.write(line.encode() + b"\n")
            word = stray(client)
            assert word == "invalid_request", f"{line} was answered with {word}"
        for identifier, line in ((7, '{"id":7,"method":"ping"}'), ("a", '{"jsonrpc":"1.0","id":"a","method":"ping"}'),
                                 (8, '{"jsonrpc":"2.0","id":8,"result":{},"error":{"code":1,"message":""}}')):
            client.write(line.encode() + b"\n")
            answer = server.wait(f"an answer to {line}", lambda: client.answers.get(identifier))
            assert Refused(answer["error"]).code == "invalid_request", answer
        client.ask("ping")


@check("nesting without end does no harm, ignored or refused")
def _(server, place):
    with Client(server) as client:
        deep = b"[" * 100_000 + b"]" * 100_000
        client.write(b'{"jsonrpc":"2.0","id":"deep","method":"ping","more":' + deep + b"}\n")
        server.wait("an answer", lambda: client.strays or "deep" in client.answers)
        client.write(b'{"jsonrpc":"2.0","id":"deeper","method":"resolve","params":{"name":' + deep + b"}}\n")
        server.wait("a refusal", lambda: client.strays or "error" in client.answers.get("deeper", {}))
        client.write(b'{"jsonrpc":"2.0","id":"open","method":"ping","more":' + b'{"a":' * 100_000 + b"\n")
        server.wait("a refusal", lambda: client.strays)
        client.ask("ping")


@check("a line has at most 1,048,576 bytes, its end included; with more the connection ends")
def _(server, place):
    def line(size):
        head, tail = b'{"jsonrpc":"2.0","id":"long","method":"ping","more":"', b'"}\n'
        return head + b"x" * (size - len(head) - len(tail)) + tail
    with Client(server) as client:
        client.write(line(LINE))
        assert "result" in server.wait("the answer", lambda: client.answers.get("long"))
        client.write(line(LINE + 1))
        assert stray(client) == "parse"
        client.goodbye()


@check("a line that never ends is not kept for ever")
def _(server, place):
    with Client(server) as client:
        client.write(b"x" * (LINE + 1))
        assert stray(client) == "parse"
        client.goodbye()


@check("an id is a number up to 2⁶⁴−1 or a text, and comes back as it was")
def _(server, place):
    with Client(server) as client:
        for identifier in (0, 2**64 - 1, "x", "é\n\"", "x" * 253):
            client.line({"jsonrpc": "2.0", "id": identifier, "method": "ping"})
            server.wait(f"the answer to {identifier!r}", lambda: client.answers.get(identifier))


@check("a notification is not answered, whatever it says")
def _(server, place):
    with Client(server) as client:
        client.notify("ping")
        client.notify("applied", id="nothing", seq=1)
        client.ask("ping")
        assert not client.strays and not client.answers, (client.strays, client.answers)


@check("unknown members are ignored")
def _(server, place):
    with Client(server, since="tomorrow") as client:
        client.ask("provide", **provision(place), color="blue")
        resolved = client.ask("resolve", name=f"{place}/mysql/mysql", shape={"round": True})
        assert keys(resolved["endpoints"]) == ["mysql/a"] and "color" not in resolved["endpoints"][0], resolved


@check("unknown methods, and those that only servers say, are answered with `method_not_found`")
def _(server, place):
    with Client(server) as client:
        words = [client.refused("sing"), client.refused("drain", retry_after=1), client.refused("reset", id="db", why="so")]
        assert words == ["method_not_found"] * 3, words


@check("wrong parameters are answered with `invalid_params`, and change nothing")
def _(server, place):
    with Client(server) as client:
        good = provision(place)
        for member, value in (("name", f"{place}/mysql"), ("name", f"{place}/My_SQL/mysql"), ("name", f"{place}/-a/mysql"),
                              ("name", f"{place}/*/mysql"), ("name", f"{place}/{'a' * 64}/mysql"), ("instance", ""),
                              ("instance", "a/b"), ("instance", "a" * 254), ("host", ""), ("host", "[::1]"), ("host", "a b"),
                              ("port", 0), ("port", 65536), ("port", "80"), ("protocol", "smoke"), ("health", "fine"),
                              ("attributes", {"": "a"}), ("attributes", {"a": "\a"}), ("attributes", {"a": "x" * 1025}),
                              ("attributes", {str(number): "" for number in range(65)})):
            word = client.refused("provide", **{**good, member: value})
            assert word == "invalid_params", f"{member} {value!r} was answered with {word}"
        assert client.refused("provide") == "invalid_params"
        assert client.refused("require", id="x" * 254, name=good["name"]) == "invalid_params"
        assert client.ask("resolve", name=good["name"])["endpoints"] == []


section = "The conversation"


@check("“I need mysql; who's available?” — “You should talk with …; I'll keep you posted.”")
def _(server, place):
    with Client(server, "db1", host="db1") as db, Client(server, "web1", host="web1") as web:
        db.ask("provide", **provision(place, attributes={"zone": "a"}))
        has = subscribe(web, place, requirement="wordpress.db")
        endpoint = has["mysql/a"]
        assert (endpoint["host"], endpoint["port"]) == ("192.0.2.11", 3306), endpoint
        assert (endpoint["protocol"], endpoint["health"], endpoint["attributes"]) == ("tcp", "passing", {"zone": "a"}), endpoint
        assert len(endpoint["version"]) == 16 and int(endpoint["version"], 16) >= 0, endpoint
        assert "incarnation" not in endpoint and not endpoint.get("suspect"), endpoint
        web.notify("applied", id="wordpress.db", seq=web.seq)
        db.ask("withdraw", **identity(place), reason="died")
        gone = web.next("wordpress.db")
        assert dropped(gone) == [("mysql/a", "died")] and gone["seq"] == web.seq + 1, gone
        db.ask("provide", **provision(place, instance="b", port=3307))
        come = web.next("wordpress.db")
        assert keys(come["add"]) == ["mysql/b"] and come["seq"] == web.seq + 2 and come["rev"] > gone["rev"], come
        web.ask("unrequire", id="wordpress.db")
        db.ask("withdraw", **identity(place, instance="b"), reason="left")
        web.quiet("wordpress.db")
        web.ask("session.close")
        web.goodbye()


section = "Session"


@check("`session.open` is answered with session, token, window, heartbeat and epoch")
def _(server, place):
    with Client(server, window=1234) as client, Client(server) as other:
        opened = client.opened
        assert opened["resumed"] is False and opened["window"] == 1234 and opened["heartbeat"] > 0, opened
        assert opened["session"] and opened["token"] and not opened.get("provides"), opened
        assert opened["epoch"] == other.opened["epoch"] and opened["session"] != other.opened["session"]
        assert other.opened["window"] == 3000, "the default"


@check("`session.open` comes first and once")
def _(server, place):
    with Client(server, open=False) as client:
        assert client.refused("provide", **provision(place)) == "session_state"
        assert client.refused("list") == "session_state"
        client.ask("session.open", protocol="disco/1", agent="late")
        assert client.refused("session.open", protocol="disco/1", agent="twice") == "session_state"


@check("another version of the protocol is refused, and the connection closed")
def _(server, place):
    with Client(server, open=False) as client:
        assert client.refused("session.open", protocol="disco/0", agent="old") == "protocol_mismatch"
        client.goodbye()


@check("`ping` is answered with the heartbeat")
def _(server, place):
    with Client(server) as client:
        assert client.ask("ping")["heartbeat"] >= client.opened["heartbeat"]


@check("after three missed heartbeats endpoints go as `expired`, and the connection is closed; not before")
def _(server, place):
    with Client(server, "silent", host="h1") as silent, Client(server, "sub") as sub:
        silent.ask("provide", **provision(place))
        subscribe(sub, place)
        silent.pings = False
        spoke = silent.spoke
        assert dropped(sub.next("db")) == [("mysql/a", "expired")]
        # Half a heartbeat less: from here to there the words took some time, too.
        assert time.monotonic() - spoke > silent.heartbeat * 2.5, f"after {time.monotonic() - spoke:.2f} s already"
        silent.goodbye()


@check("a resumed session has lost nothing, its subscribers notice nothing, and it provides the same again unnoticed")
def _(server, place):
    with Client(server, "sub") as sub, Client(server, "agent", host="h1", window=PAST) as agent:
        agent.ask("provide", **provision(place))
        has = subscribe(sub, place)
        agent.cut()
        with Client(server, "agent", host="h1", window=PAST, resume=resume(agent)) as again:
            assert again.opened["resumed"] is True and again.opened["session"] == agent.opened["session"], again.opened
            assert again.opened["provides"] == [identity(place)], again.opened
            again.ask("provide", **provision(place))
            sub.quiet("db")
            resolved = sub.ask("resolve", name=f"{place}/mysql/mysql")["endpoints"]
            assert resolved == [has["mysql/a"]], resolved


@check("a resumed requirement gets the difference to what the client knows, and `seq` goes on")
def _(server, place):
    with Client(server, "provider", host="h1") as provider, Client(server, "sub", window=PAST) as sub:
        for instance in ("same", "changed", "gone"):
            provider.ask("provide", **provision(place, instance=instance))
        has = subscribe(sub, place)
        sub.cut()
        provider.ask("provide", **provision(place, instance="changed", port=1))
        provider.ask("withdraw", **identity(place, instance="gone"), reason="died")
        provider.ask("provide", **provision(place, instance="new"))
        with Client(server, "sub", window=PAST, resume=resume(sub)) as again:
            known = {key: endpoint["version"] for key, endpoint in has.items()}
            change = again.ask("require", id="db", name=f"{place}/mysql/mysql", known=known)
            # One more than the last one sent, which may have been lost with the connection.
            assert change["seq"] > sub.seq, change
            assert keys(change["add"]) == ["mysql/new"] and keys(change["update"]) == ["mysql/changed"], change
            assert [key for key, _ in dropped(change)] == ["mysql/gone"], change


@check("requirements that a resumed client does not require again within its window are forgotten")
def _(server, place):
    with Client(server, "sub", window=1000) as sub:
        subscribe(sub, place, requirement="kept")
        subscribe(sub, place, requirement="forgotten")
        sub.cut()
        with Client(server, "sub", window=1000, resume=resume(sub)) as again:
            again.ask("require", id="kept", name=f"{place}/mysql/mysql")
            listed = lambda: [it["id"] for it in again.ask("list", environment=place.split("/")[0], service=place.split("/")[1])["requirements"]]
            server.wait("the other one to be forgotten", lambda: listed() == ["kept"])


@check("a session that is not known, or whose token is wrong, begins anew and empty")
def _(server, place):
    with Client(server, "agent", host="h1", window=PAST) as agent:
        agent.ask("provide", **provision(place))
        real = resume(agent)
        for wrong in ({**real, "token": "0" * len(real["token"])}, {**real, "session": real["session"] + "0"}):
            with Client(server, "thief", resume=wrong) as thief:
                assert thief.opened["resumed"] is False and not thief.opened.get("provides"), thief.opened
                assert thief.opened["session"] != real["session"]
        agent.ask("ping")


@check("the newest connection of a session wins, and the server closes the older one")
def _(server, place):
    with Client(server, "sub") as sub, Client(server, "agent", host="h1") as old:
        old.ask("provide", **provision(place))
        subscribe(sub, place)
        with Client(server, "agent", host="h1", resume=resume(old)) as new:
            assert new.opened["resumed"] is True
            old.goodbye()
            new.ask("provide", **provision(place))
            sub.quiet("db")


@check("a connection that ends and is not resumed within the window: `lost`")
def _(server, place):
    with Client(server, "sub") as sub, Client(server, "agent", host="h1", window=500) as agent:
        agent.ask("provide", **provision(place))
        subscribe(sub, place)
        agent.cut()
        sub.quiet("db")
        assert dropped(sub.next("db")) == [("mysql/a", "lost")]


@check("when many fall silent at once, they are `suspect` and stay; whoever comes back is not")
def _(server, place):
    with Client(server, "sub") as sub:
        others = [it for it in sub.ask("list")["provisions"] if not it["name"].startswith(place)]
        if others:
            raise Skipped("the server is in use, and what share these are of it is not known")
        hosts = [Client(server, f"h{number}", host=f"h{number}") for number in range(3)]
        for number, host in enumerate(hosts):
            host.ask("provide", **provision(place, instance=f"i{number}"))
        has = subscribe(sub, place)
        assert len(has) == 3 and not any(it.get("suspect") for it in has.values()), has
        for host in hosts:
            host.pings = False
        suspects = set()
        while len(suspects) < 3:
            change = sub.next("db")
            assert not change.get("drop"), dropped(change)
            suspects |= {it["instance"] for it in change["update"] if it.get("suspect")}
        with Client(server, "h0", host="h0") as again:
            again.ask("provide", **provision(place, instance="i0"))
            change = sub.next("db")
            assert [(it["instance"], it.get("suspect", False)) for it in change["update"]] == [("i0", False)], change
            # There is a live one again, so nobody needs the others.
            assert dropped(change) == [("mysql/i1", "expired"), ("mysql/i2", "expired")], change


@check("`session.park`: the next absence may last as long, and only the next")
def _(server, place):
    with Client(server, "sub") as sub, Client(server, "agent", host="h1", window=100) as agent:
        agent.ask("provide", **provision(place))
        subscribe(sub, place)
        assert agent.ask("session.park", **{"for": 30_000}) == {}
        agent.cut()
        server.pause(0.5)
        sub.quiet("db")
        with Client(server, "agent", host="h1", window=100, resume=resume(agent)) as again:
            assert again.opened["resumed"] is True
            again.cut()
            assert dropped(sub.next("db")) == [("mysql/a", "lost")]


@check("`session.close`: everything provided goes as `left`, at once, and the connection is closed")
def _(server, place):
    with Client(server, "sub") as sub, Client(server, "agent", host="h1", window=PAST) as agent:
        agent.ask("provide", **provision(place))
        subscribe(sub, place)
        assert agent.ask("session.close") == {}
        assert dropped(sub.next("db")) == [("mysql/a", "left")]
        agent.goodbye()
        with Client(server, "agent", host="h1", resume=resume(agent)) as again:
            assert again.opened["resumed"] is False


# A window that does not pass while a check runs.
PAST = 30_000


def resume(client):
    return {"session": client.opened["session"], "token": client.opened["token"]}


section = "Providing"


@check("`provide` is answered with a revision that grows, and providing again changes or, being the same, does nothing")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        first = agent.ask("provide", **provision(place))["rev"]
        has = subscribe(sub, place)
        agent.ask("provide", **provision(place))
        sub.quiet("db")
        second = agent.ask("provide", **provision(place, port=3307, health="draining"))["rev"]
        assert second > first
        change = sub.next("db")
        (updated,) = change["update"]
        assert (updated["port"], updated["health"]) == (3307, "draining") and not change.get("add"), change
        assert updated["version"] != has["mysql/a"]["version"]
        agent.ask("provide", **provision(place))
        assert sub.next("db")["update"] == [has["mysql/a"]], "the same endpoint has the same version"


@check("IPv6 addresses, host names and UDP are delivered as they were provided")
def _(server, place):
    with Client(server, "agent", host="h1") as agent:
        for host in ("2001:db8::14", "db1.example", "192.0.2.1"):
            agent.ask("provide", **{**provision(place, protocol="udp"), "host": host})
            (endpoint,) = agent.ask("resolve", name=f"{place}/mysql/mysql")["endpoints"]
            assert (endpoint["host"], endpoint["protocol"]) == (host, "udp"), endpoint


@check("another host's identity is refused with `owned_by_other`, provided and withdrawn")
def _(server, place):
    with Client(server, "here", host="h1") as here, Client(server, "there", host="h2") as there:
        here.ask("provide", **provision(place))
        assert there.refused("provide", **provision(place, port=1, incarnation=9)) == "owned_by_other"
        assert there.refused("withdraw", **identity(place), reason="left") == "owned_by_other"
        here.ask("withdraw", **identity(place), reason="left")
        there.ask("provide", **provision(place, port=1))


@check("without a `host`, the agent's own word owns what it provides")
def _(server, place):
    with Client(server, "one") as one, Client(server, "two") as two:
        one.ask("provide", **provision(place))
        assert two.refused("provide", **provision(place, incarnation=9)) == "owned_by_other"


@check("one's own host takes over unnoticed with a higher incarnation, else `stale_incarnation`")
def _(server, place):
    with Client(server, "sub") as sub, Client(server, "old", host="h1", window=PAST) as old, \
            Client(server, "new", host="h1", window=PAST) as new:
        old.ask("provide", **provision(place, incarnation=5))
        subscribe(sub, place)
        assert new.refused("provide", **provision(place, incarnation=5)) == "stale_incarnation"
        new.ask("provide", **provision(place, incarnation=6))
        assert old.refused("provide", **provision(place, incarnation=5)) == "stale_incarnation"
        old.ask("session.close")
        sub.quiet("db")
        new.cut()
        # Of one that is not connected, its equal will do.
        with Client(server, "newer", host="h1") as newer:
            server.wait("the connection's end to be seen", lambda: took(newer, provision(place, incarnation=6)))
            sub.quiet("db")


def took(client, provided):
    try:
        return client.ask("provide", **provided)
    except Refused as refusal:
        assert refusal.code == "stale_incarnation", refusal
        return None


@check("`withdraw` says why: `left`, `died` or `draining`, and nothing else")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        subscribe(sub, place)
        for reason in ("left", "died", "draining"):
            agent.ask("provide", **provision(place))
            assert keys(sub.next("db")["add"]) == ["mysql/a"]
            agent.ask("withdraw", **identity(place), reason=reason)
            assert dropped(sub.next("db")) == [("mysql/a", reason)]
        for reason in ("lost", "expired", "unmatched"):
            assert agent.refused("withdraw", **identity(place), reason=reason) == "invalid_params"


@check("withdrawing what is not there is no error")
def _(server, place):
    with Client(server) as client:
        assert "rev" in client.ask("withdraw", **identity(place), reason="left", wait=PAST)


@check("with `wait`, the answer comes when every subscriber has applied a change without it")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "s1") as one, Client(server, "s2") as two:
        agent.ask("provide", **provision(place))
        subscribe(one, place), subscribe(two, place)
        number = agent.begin("withdraw", **identity(place), reason="left", wait=PAST)
        changes = [one.next("db"), two.next("db")]
        one.notify("applied", id="db", seq=changes[0]["seq"])
        one.ask("ping"), agent.ask("ping")
        assert number not in agent.answers, "it was answered before the second had applied it"
        two.notify("applied", id="db", seq=changes[1]["seq"])
        assert not agent.answer(number).get("unapplied")


@check("when `wait` has passed, `unapplied` names those that had not: REQUIREMENT@AGENT")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "s1") as one, Client(server, "slow one") as two:
        agent.ask("provide", **provision(place))
        subscribe(one, place), subscribe(two, place, requirement="cron.db")
        number = agent.begin("withdraw", **identity(place), reason="left", wait=500)
        one.notify("applied", id="db", seq=one.next("db")["seq"])
        # Received is not applied.
        two.next("cron.db")
        assert agent.answer(number)["unapplied"] == ["cron.db@slow one"]


@check("a subscriber that ends counts as having applied")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "s1") as one, Client(server, "s2", window=100) as two, \
            Client(server, "s3") as three:
        agent.ask("provide", **provision(place))
        subscribe(one, place), subscribe(two, place), subscribe(three, place)
        number = agent.begin("withdraw", **identity(place), reason="left", wait=PAST)
        one.ask("session.close"), two.cut(), three.ask("unrequire", id="db")
        assert not agent.answer(number).get("unapplied")


@check("with `successor_by` it stays usable until another comes, in the same change in which it goes")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        agent.ask("provide", **provision(place))
        subscribe(sub, place)
        number = agent.begin("withdraw", **identity(place), reason="draining", wait=PAST, successor_by=PAST)
        sub.quiet("db")
        agent.ask("provide", **provision(place, instance="b"))
        change = sub.next("db")
        assert keys(change["add"]) == ["mysql/b"] and dropped(change) == [("mysql/a", "draining")], change
        sub.notify("applied", id="db", seq=change["seq"])
        assert not agent.answer(number).get("unapplied")


@check("without a successor in time it goes nevertheless")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        agent.ask("provide", **provision(place))
        subscribe(sub, place)
        agent.begin("withdraw", **identity(place), reason="draining", successor_by=300)
        assert dropped(sub.next("db")) == [("mysql/a", "draining")]


section = "Requiring"


@check("`known` is what the client has: the answer is what differs from it")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        agent.ask("provide", **provision(place, instance="a"))
        agent.ask("provide", **provision(place, instance="b"))
        has = subscribe(sub, place, requirement="first")
        known = {"mysql/a": has["mysql/a"]["version"], "mysql/b": "0" * 16, "mysql/never": "1" * 16}
        change = sub.ask("require", id="second", name=f"{place}/mysql/mysql", known=known)
        assert not change.get("add") and change["update"] == [has["mysql/b"]], change
        assert [key for key, _ in dropped(change)] == ["mysql/never"], change


@check("before a change is answered no further one is sent; what happens meanwhile is folded into the next")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        subscribe(sub, place)
        sub.receipts = False
        for port in range(1, 51):
            agent.ask("provide", **provision(place, port=port))
        agent.ask("provide", **provision(place, instance="b")), agent.ask("withdraw", **identity(place, instance="b"), reason="died")
        first = sub.next("db")
        assert first["add"][0]["port"] == 1, first
        sub.quiet("db")
        sub.received(first["call"])
        second = sub.next("db")
        assert second["seq"] == first["seq"] + 1 and second["update"][0]["port"] == 50 and not second.get("drop"), second
        sub.received(second["call"])
        sub.quiet("db")


@check("one requirement that is not answered holds up no other of the same client")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        subscribe(sub, place, requirement="stuck"), subscribe(sub, place, requirement="other", role="cache")
        sub.receipts = False
        agent.ask("provide", **provision(place))
        sub.next("stuck")
        agent.ask("provide", **provision(place, role="cache"))
        assert keys(sub.next("other")["add"]) == ["cache/a"]


@check("a client with a thousand requirements is told of each")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        names = [f"r{number}" for number in range(1000)]
        answers = [sub.begin("require", id=name, name=f"{place}/*/mysql") for name in names]
        for number in answers:
            sub.answer(number)
        agent.ask("provide", **provision(place))
        for name in names:
            change = sub.next(name)
            while not change.get("add"):
                change = sub.next(name)


@check("requiring the same id again replaces it")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        agent.ask("provide", **provision(place)), agent.ask("provide", **provision(place, role="cache"))
        assert list(subscribe(sub, place)) == ["mysql/a"]
        assert list(subscribe(sub, place, role="cache")) == ["cache/a"]
        agent.ask("withdraw", **identity(place), reason="left")
        sub.quiet("db")


@check("a client that answers `gap` gets a `reset` and a `snapshot`, and `seq` starts anew")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        agent.ask("provide", **provision(place))
        subscribe(sub, place)
        sub.receipts = False
        agent.ask("provide", **provision(place, instance="b"))
        change = sub.next("db")
        agent.ask("provide", **provision(place, instance="c"))
        sub.line({"jsonrpc": "2.0", "id": change["call"],
                  "error": {"code": -32006, "message": "7 follows 4", "data": {"code": "gap"}}})
        reset, snapshot = sub.next("db"), sub.next("db")
        assert (reset["method"], reset["why"], reset["call"]) == ("reset", "7 follows 4", None), reset
        assert snapshot["method"] == "snapshot" and snapshot["seq"] == 1, snapshot
        assert keys(snapshot["endpoints"]) == ["mysql/a", "mysql/b", "mysql/c"], snapshot
        sub.receipts = True
        sub.received(snapshot["call"])
        agent.ask("withdraw", **identity(place, instance="c"), reason="left")
        assert sub.next("db")["seq"] == 2


@check("a client that answers `unknown_requirement` is told no more of it")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        subscribe(sub, place)
        sub.receipts = False
        agent.ask("provide", **provision(place))
        sub.line({"jsonrpc": "2.0", "id": sub.next("db")["call"],
                  "error": {"code": -32005, "message": "no such requirement", "data": {"code": "unknown_requirement"}}})
        sub.ask("ping")
        agent.ask("withdraw", **identity(place), reason="left")
        sub.quiet("db")
        assert sub.refused("unrequire", id="db") == "unknown_requirement"


@check("`applied` and `unrequire` of what is not required: `unknown_requirement`")
def _(server, place):
    with Client(server) as client:
        assert client.refused("applied", id="db", seq=1) == "unknown_requirement"
        assert client.refused("unrequire", id="db") == "unknown_requirement"


@check("conditions: a text, `in`, `not`, `exists`; what no longer holds goes as `unmatched`")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        for instance, attributes in (("a", {"v": "1", "dc": "x"}), ("b", {"v": "2", "backup": ""}), ("c", {})):
            agent.ask("provide", **provision(place, instance=instance, attributes=attributes))
        for match, expected in (({"v": "1"}, "a"), ({"v": {"in": ["1", "2"]}}, "ab"), ({"v": {"not": ["1"]}}, "bc"),
                                ({"backup": {"exists": True}}, "b"), ({"backup": {"exists": False}}, "ac"),
                                ({"v": {"in": ["1", "2"]}, "dc": "x"}, "a"), ({"v": {"in": []}}, "")):
            found = sub.ask("resolve", name=f"{place}/mysql/mysql", match=match)["endpoints"]
            assert keys(found) == [f"mysql/{instance}" for instance in expected], (match, found)
        subscribe(sub, place, match={"v": "1"})
        agent.ask("provide", **provision(place, instance="a", attributes={"v": "2"}))
        assert dropped(sub.next("db")) == [("mysql/a", "unmatched")]


@check("the role may be `*`, and the subscriber itself never matches")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        for role in ("web", "cache"):
            for instance in ("me", "you"):
                agent.ask("provide", **provision(place, role=role, endpoint="metrics", instance=instance))
        has = subscribe(sub, place, role="*", endpoint="metrics", instance="me")
        assert sorted(has) == ["cache/you", "web/you"], has


@check("environments, services and endpoints do not see each other")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        environment, service = place.split("/")
        subscribe(sub, place)
        for other in (f"{environment}/{service}x", f"{environment}x/{service}"):
            agent.ask("provide", **provision(other))
        agent.ask("provide", **provision(place, endpoint="admin")), agent.ask("provide", **provision(place, role="mysql2"))
        sub.quiet("db")


@check("what passes is delivered; if nothing does, what drains; if nothing does, what fails")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        say = lambda instance, health: agent.ask("provide", **provision(place, instance=instance, health=health))
        say("a", "failing"), say("b", "failing")
        assert sorted(subscribe(sub, place)) == ["mysql/a", "mysql/b"]
        say("c", "draining")
        change = sub.next("db")
        assert keys(change["add"]) == ["mysql/c"] and [key for key, _ in dropped(change)] == ["mysql/a", "mysql/b"], change
        say("a", "passing")
        change = sub.next("db")
        assert keys(change["add"]) == ["mysql/a"] and dropped(change) == [("mysql/c", "draining")], change
        say("a", "failing")
        change = sub.next("db")
        assert keys(change["add"]) == ["mysql/c"] and dropped(change) == [("mysql/a", "unmatched")], change


@check("`prefer`: the best tier that is not empty; failing over at once, failing back once the better tier has been there for a while")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub", attributes={"zone": "a", "dc": "x"}) as sub:
        near = provision(place, instance="near", attributes={"zone": "a", "dc": "x"})
        agent.ask("provide", **near)
        agent.ask("provide", **provision(place, instance="dc", attributes={"zone": "b", "dc": "x"}))
        agent.ask("provide", **provision(place, instance="far", attributes={"zone": "c", "dc": "y"}))
        assert list(subscribe(sub, place, prefer=["zone", "dc"])) == ["mysql/near"]
        agent.ask("withdraw", **identity(place, instance="near"), reason="died")
        change = sub.next("db")
        assert keys(change["add"]) == ["mysql/dc"] and dropped(change) == [("mysql/near", "died")], change
        agent.ask("provide", **near)
        sub.quiet("db")
        change = sub.next("db")
        assert keys(change["add"]) == ["mysql/near"] and dropped(change) == [("mysql/dc", "unmatched")], change


@check("a set too large for one line comes in parts, the last of which is `complete`")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        count = 1500
        for number in range(count):
            agent.begin("provide", **provision(place, instance=f"i{number}", attributes={"a": "x" * 1000}))
        agent.answer(agent.numbers)
        # The first parts are not complete, and what was told before stays while more comes.
        assert len(subscribe(sub, place)) == count and sub.seq > 1, sub.seq
        listing = sub.ask("list", environment=place.split("/")[0], service=place.split("/")[1])
        assert listing["truncated"] is True and 0 < len(listing["provisions"]) < count
        assert sub.ask("resolve", name=f"{place}/mysql/mysql")["complete"] is False


@check("a client that does not read is left no message behind, and nothing piles up for it")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        subscribe(sub, place)
        sub.reading(False)
        told, count = sub.calls, 3000
        for port in range(1, count + 1):
            agent.begin("provide", **provision(place, port=port, attributes={"a": "x" * 1000}))
        agent.answer(agent.numbers)
        # Longer than silence is forgiven: what a slow reader says is heard.
        server.pause(sub.heartbeat * 4)
        sub.reading(True)
        seq, port = sub.seq, 0
        while port != count:
            change = sub.next("db")
            assert change["seq"] == seq + 1, f"{change['seq']} follows {seq}"
            seq, port = change["seq"], (change.get("add") or change["update"])[0]["port"]
        assert sub.calls - told < 10, f"{sub.calls - told} messages for a client that read none of them"


@check("a client that asks for ever and reads no answer is left to wait; others are not")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "other") as other:
        for number in range(200):
            agent.begin("provide", **provision(place, instance=f"i{number}", attributes={"a": "x" * 1000}))
        agent.answer(agent.numbers)
        with Client(server, "greedy") as greedy:
            greedy.reading(False)
            question = {"jsonrpc": "2.0", "id": "again", "method": "resolve", "params": {"name": f"{place}/mysql/mysql"},
                        "more": "x" * 1000}
            # More than the network itself keeps; and answers of two hundred thousand bytes each, if somebody kept those.
            greedy.write((json.dumps(question).encode() + b"\n") * 20_000)
            for _ in range(20):
                began = time.monotonic()
                other.ask("resolve", name=f"{place}/cache/mysql")
                assert time.monotonic() - began < PATIENT, f"another client waited for {time.monotonic() - began:.1f} s"
            assert greedy.output, "twenty thousand questions were taken from a client that reads no answer"


# How long one client may wait because of what another one does, on a busy machine.
PATIENT = 5.0


section = "Asking once"


@check("`resolve` answers what a requirement would get, and subscribes to nothing")
def _(server, place):
    with Client(server, "agent", host="h1") as agent, Client(server, "sub", attributes={"zone": "a"}) as sub:
        for zone in "ab":
            agent.ask("provide", **provision(place, instance=zone, attributes={"zone": zone}))
        found = sub.ask("resolve", name=f"{place}/mysql/mysql", prefer=["zone"])
        assert keys(found["endpoints"]) == ["mysql/a"] and found["rev"] >= 2, found
        calls = sub.calls
        agent.ask("withdraw", **identity(place), reason="left")
        sub.ask("ping")
        assert sub.calls == calls


@check("`list` answers who provides and who requires, filtered by environment, service and role")
def _(server, place):
    environment, service = place.split("/")
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        agent.ask("provide", **provision(place, incarnation=3)), agent.ask("provide", **provision(place, role="cache"))
        agent.ask("provide", **provision(f"{environment}/{service}x"))
        subscribe(sub, place, prefer=["zone"])
        sub.notify("applied", id="db", seq=sub.seq)
        listing = sub.ask("list", environment=environment, service=service)
        assert keys(listing["provisions"]) == ["cache/a", "mysql/a"] and not listing.get("truncated"), listing
        mysql = listing["provisions"][1]
        assert (mysql["incarnation"], mysql["agent"], mysql["connected"]) == (3, "agent", True), mysql
        (requirement,) = listing["requirements"]
        expected = {"id": "db", "name": f"{place}/mysql/mysql", "prefer": ["zone"], "agent": "sub", "connected": True,
                    "seq": sub.seq, "applied": sub.seq, "endpoints": ["mysql/a"]}
        assert requirement == expected, requirement
        listing = sub.ask("list", environment=environment, service=service, role="cache")
        assert keys(listing["provisions"]) == ["cache/a"] and not listing.get("requirements"), listing
        assert isinstance(sub.ask("list")["provisions"], list)


section = "Errors"


@check("more than the server takes is refused with `limit`, says of what there is too much, and changes nothing")
def _(server, place):
    with Client(server, "greedy") as greedy, Client(server, "other") as other:
        numbers, refused = [], None
        while not refused and len(numbers) < 100_000:
            few = [greedy.begin("require", id=f"r{len(numbers) + more}", name=f"{place}/mysql/mysql") for more in range(1000)]
            for number in few:
                try:
                    greedy.answer(number)
                except Refused as refusal:
                    refused = refusal
                    break
            numbers += few
        if not refused:
            raise Skipped("this server takes a hundred thousand requirements of one session")
        assert (refused.code, refused.limit) == ("limit", "requirements"), refused
        greedy.ask("unrequire", id="r0")
        greedy.ask("require", id="one more", name=f"{place}/mysql/mysql")
        subscribe(other, place)


section = "The server itself"


@check("a server that was stopped for a while blames nobody for the silence")
def _(server, place):
    if not server.pid:
        raise Skipped("without --pid there is nothing to stop")
    with Client(server, "agent", host="h1") as agent, Client(server, "sub") as sub:
        agent.ask("provide", **provision(place))
        subscribe(sub, place)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            time.sleep(agent.heartbeat * 4)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        server.pause(agent.heartbeat * 2)
        sub.quiet("db")
        agent.ask("ping")


@check("a server that ends says `drain` and when to come back, and closes the connections")
def _(server, place):
    if not server.pid:
        raise Skipped("without --pid there is nothing to end")
    with Client(server) as client:
        os.kill(server.pid, signal.SIGTERM)
        client.goodbye()
        (drain,) = [message for message in client.said if message["method"] == "drain"]
        assert drain["params"]["retry_after"] >= 0 and "id" not in drain, drain


if __name__ == "__main__":
    socket.setdefaulttimeout(30)
    sys.exit(run(__doc__))
