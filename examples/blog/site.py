#!/usr/bin/env python3
"""Uses the blog as its author and its readers do, over HTTP: install it, publish a post, read a post.

    site.py install              sets WordPress up, unless it is set up already
    site.py publish TITLE BODY   logs in and publishes a post; prints its address
    site.py read TITLE           finds the post as a visitor and prints its text

The author's password is read from the environment (SITE_PASSWORD) or from --password-file, never from an argument; without
either it is the one in README.md, which is for trying things out and nothing else.
Each step waits for the site, up to --timeout seconds; --once looks once and does not wait. Exit codes: 0 done, 1 failed, 64 wrong usage.
Needs Python 3 and nothing else.
"""

import argparse
import html
import http.client
import http.cookiejar
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TRYING_OUT = "correct horse battery staple"  # as in README.md
REQUEST_TIMEOUT = 20  # seconds; the first page after a start fills PHP's code cache


class Failed(Exception):
    """Something that trying again does not change."""


class NotYet(Exception):
    """Something that may be different in a moment: nobody listens, the database is away, no such post."""


class Response:
    """What came back, redirects followed."""

    def __init__(self, status, url, text):
        self.status = status
        self.url = url
        self.text = text

    def summary(self):
        """Status and what the page says, for an error."""
        return f"{self.url} answered {self.status}: {as_text(self.text)[:300]!r}"

    def json(self):
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise NotYet(f"{self.url} answered {self.status} and no JSON: {as_text(self.text)[:300]!r}") from error


class Site:
    """One visitor with cookies of their own."""

    def __init__(self, url):
        self.url = url.rstrip("/") + "/"
        # No proxy from the environment: the site is usually on this machine.
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        )

    def request(self, path, form=None, headers=None):
        """GET, or POST of a form (a dict) or of JSON (bytes)."""
        data = urllib.parse.urlencode(form).encode() if isinstance(form, dict) else form
        url = urllib.parse.urljoin(self.url, path)
        request = urllib.request.Request(url, data=data, headers=headers or {})
        try:
            with self.opener.open(request, timeout=REQUEST_TIMEOUT) as answer:
                return Response(answer.status, answer.url, answer.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            body = error.read().decode("utf-8", "replace")
            response = Response(error.code, error.url, body)
            if error.code >= 500:
                raise NotYet(response.summary()) from error
            return response
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise NotYet(f"{url}: {reason}") from error

    def rest(self, route, body=None, nonce=None, **query):
        """The REST API by its plain address, which needs no rewrite rules."""
        path = "index.php?" + urllib.parse.urlencode({"rest_route": route, **query})
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if nonce:
            headers["X-WP-Nonce"] = nonce
        return self.request(path, json.dumps(body).encode() if body is not None else None, headers)


def as_text(markup):
    """The words of a page or of a post."""
    markup = re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", markup)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def until(timeout, what, attempt):
    """Tries until it works or the time is over; the error then says how it stood last."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return attempt()
        except NotYet as error:
            if time.monotonic() >= deadline:
                waited = f"not within {timeout:g} s; at last " if timeout else ""
                raise Failed(f"{what}: {waited}{error}") from error
        time.sleep(0.1)


def installed(site):
    """Whether WordPress has its tables: without them every page leads to its installer."""
    page = site.request("wp-login.php")
    if page.status >= 400:
        raise NotYet(page.summary())
    if "wp-admin/install.php" in page.url:
        return False
    if 'name="loginform"' not in page.text:
        raise NotYet(f"{page.url} is neither the login page nor the installer: {as_text(page.text)[:300]!r}")
    return True


def install(site, options, password):
    if until(options.timeout, "looking at the site", lambda: installed(site)):
        print(f"{site.url} is set up already")
        return
    form = {
        "weblog_title": options.title,
        "user_name": options.user,
        "admin_password": password,
        "admin_password2": password,
        "pw_weak": "1",
        "admin_email": options.email,
        "blog_public": "0",
        "Submit": "Install WordPress",
        "language": "",
    }

    def attempt():
        # A POST whose answer was lost may have worked all the same, so look before each.
        if installed(site):
            return
        page = site.request("wp-admin/install.php?step=2", form)
        error = re.search(r'(?is)<p class="message">(.*?)</p>', page.text)
        if error:
            raise Failed(f"WordPress refuses to be set up: {as_text(error.group(1))}")
        if not installed(site):
            raise NotYet(page.summary())

    until(options.timeout, "setting WordPress up", attempt)
    print(f"{site.url} is set up, its author is {options.user}")


def log_in(site, user, password):
    """Leaves the author's cookies in the site, returns the nonce that the REST API asks for beside them."""
    site.request("wp-login.php")  # sets the cookie by which WordPress sees that cookies work
    form = {"log": user, "pwd": password, "wp-submit": "Log In", "testcookie": "1",
            "redirect_to": urllib.parse.urljoin(site.url, "wp-admin/admin-ajax.php?action=rest-nonce")}
    page = site.request("wp-login.php", form)
    error = re.search(r'(?is)<div id="login_error"[^>]*>(.*?)</div>', page.text)
    if error:
        raise Failed(f"{user} cannot log in: {as_text(error.group(1))}")
    if not re.fullmatch(r"[0-9a-f]{10}", page.text.strip()):
        raise NotYet(f"no nonce after the login: {page.summary()}")
    return page.text.strip()


def find(site, title):
    """The published post with this title, newest first, or None; any visitor may ask."""
    found = site.rest("/wp/v2/posts", search=title, per_page=50, orderby="date", order="desc")
    posts = found.json()
    if found.status != 200 or not isinstance(posts, list):
        raise NotYet(found.summary())
    for post in posts:
        # Typographic quotes and dashes are put in when a title is shown.
        if plain(post["title"]["rendered"]) == plain(title):
            return post
    return None


def plain(title):
    """A title without what WordPress beautifies in it."""
    table = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "."})
    return re.sub(r"[-.]+", "-", as_text(title).translate(table)).casefold()


def publish(site, options, password):
    def attempt():
        nonce = log_in(site, options.user, password)
        # An earlier attempt may have been stored although its answer was lost.
        if attempt.count and (post := find(site, options.post_title)):
            return post
        attempt.count += 1
        answer = site.rest("/wp/v2/posts", nonce=nonce,
                           body={"title": options.post_title, "content": options.body, "status": "publish"})
        if answer.status != 201:
            raise Failed(f"WordPress does not take the post: {answer.summary()}")
        return answer.json()

    attempt.count = 0
    print(until(options.timeout, f"publishing {options.post_title!r}", attempt)["link"])


def read(site, options, _password):
    def attempt():
        post = find(site, options.post_title)
        if post is None:
            raise NotYet(f"no published post has the title {options.post_title!r}")
        page = site.request(f"?p={post['id']}")
        text = as_text(post["content"]["rendered"])
        if page.status != 200 or text not in as_text(page.text):
            raise NotYet(f"the post's page does not show its text: {page.summary()}")
        return text

    print(until(options.timeout, f"reading {options.post_title!r}", attempt))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("SITE_URL", "http://127.0.0.1:8080/"),
                        help="address of the site (default: $SITE_URL or http://127.0.0.1:8080/)")
    parser.add_argument("--user", default="admin", help="the author's name (default: %(default)s)")
    parser.add_argument("--password-file", help="file with the author's password (default: $SITE_PASSWORD)")
    parser.add_argument("--timeout", type=float, default=60, help="seconds to wait for the site (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--once", action="store_true", help="look once instead of waiting")

    command = commands.add_parser("install", help="set WordPress up", parents=[common])
    command.add_argument("--title", default="A blog", help="title of the blog (default: %(default)s)")
    command.add_argument("--email", default="admin@blog.example", help="the author's address (default: %(default)s)")
    command.set_defaults(run=install, needs_password=True)

    command = commands.add_parser("publish", help="publish a post", parents=[common])
    command.add_argument("post_title", metavar="TITLE")
    command.add_argument("body", metavar="BODY", help="its text; HTML is allowed")
    command.set_defaults(run=publish, needs_password=True)

    command = commands.add_parser("read", help="read a post as a visitor", parents=[common])
    command.add_argument("post_title", metavar="TITLE")
    command.set_defaults(run=read, needs_password=False)
    options = parser.parse_args()
    if options.once:
        options.timeout = 0
    return options


def password_of(options):
    if options.password_file:
        # Only the line's end is not part of it.
        with open(options.password_file, encoding="utf-8") as file:
            password = file.read().rstrip("\r\n")
    else:
        password = os.environ.get("SITE_PASSWORD", TRYING_OUT)
    if not password:
        raise Failed("the password is empty: look at SITE_PASSWORD or --password-file")
    return password


def main():
    try:
        options = arguments()
    except SystemExit as usage:
        return 64 if usage.code else 0
    try:
        options.run(Site(options.url), options, password_of(options) if options.needs_password else None)
    except (Failed, NotYet, OSError) as error:
        print(f"site.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
