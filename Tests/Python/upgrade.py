"""Upgrades a deployment that is in use, and looks whether anybody loses anything: see bench/upgrade, which builds both releases. Starts
one bin/serve after the other, with the environment's STATE_DIR and PORT, and ends them. Fails where an endpoint answers anything but
what it should or 503, or where something is lost that was acknowledged.

usage: upgrade.py OLD-RELEASE NEW-RELEASE FOLDER-FOR-LOGS PSQL"""

import collections, http.client, itertools, json, os, pathlib, random, signal, subprocess, sys, threading, time, urllib.parse, uuid

old, new, logs, psql = sys.argv[1:]
port, state = int(os.environ["PORT"]), os.environ["STATE_DIR"]
BEFORE, MEANWHILE, AFTER = 10, 20, 10  # seconds for which people send requests
PASSWORD = "correct horse battery"
numbers = itertools.count(1)


class Serve:
    """A bin/serve of a release."""

    def __init__(self, folder, name):
        self.log = pathlib.Path(logs, f"{name}.log")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", f"{folder}/bin/serve"], cwd=folder, stdout=self.log.open("w"), stderr=subprocess.STDOUT)
        while "Prefer: wait" not in self.log.read_text():
            if self.process.poll() is not None:
                sys.exit(f"bin/serve of {name} ended:\n{self.log.read_text()}")
            time.sleep(0.1)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Answers:
    """How each endpoint answered in each phase, and what it should not have said."""

    def __init__(self):
        self.phase = "before"
        self.counts = collections.defaultdict(collections.Counter)
        self.wrong = []
        self.lock = threading.Lock()

    def add(self, endpoint, status, expected, text):
        with self.lock:
            self.counts[endpoint, self.phase][status] += 1
            if status not in expected and status != 503:
                self.wrong.append(f"{self.phase}: {endpoint} answered {status} and not {expected}: {text[:300]!r}")

    def table(self):
        phases = ["before", "meanwhile", "after"]
        rows = [["endpoint", *phases]]
        for endpoint in sorted({endpoint for endpoint, _ in self.counts}):
            told = [", ".join(f"{s}: {n}" for s, n in sorted(self.counts[endpoint, p].items(), key=str)) for p in phases]
            rows.append([endpoint, *told])
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


answers = Answers()
is_over = threading.Event()


class Away(Exception):
    """The phase ended before an endpoint answered anything but 503."""


def ask(method, path, token=None, body=None, headers=None):
    """One request on a connection of its own; its status and body. A connection that breaks has the error's name as status."""
    headers = dict(headers or {})
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None and not isinstance(body, bytes):
        headers["Content-Type"], body = "application/json", json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__, str(error).encode()
    finally:
        connection.close()


def call(endpoint, method, path, *expected, token=None, body=None, headers=None, repeated=()):
    """Sends a request until it is answered by anything but 503. `repeated` is what may be said as well to a repeat of one of which nobody
    knows whether it was carried out. Gives the body: as JSON where it is that."""
    while True:
        status, text = ask(method, path, token, body, headers)
        answers.add(endpoint, status, expected, text)
        if status in expected:
            try:
                return json.loads(text)
            except ValueError:
                return text
        if status != 503 or is_over.is_set():
            raise Away(f"{endpoint}: {status}")
        expected = (*expected, *repeated)
        time.sleep(0.2)


def once():
    return {"Idempotency-Key": str(uuid.uuid4())}


def sign_in(mobile, **more):
    sent = call("send-otp", "POST", "/auth/send-otp", 200, body={"mobile": mobile})
    return call("verify-otp", "POST", "/auth/verify-otp", 200, body={"mobile": mobile, "otp": sent["otp"], **more}, repeated=[401])


class Person:
    """Somebody who uses the site, and remembers what it acknowledged."""

    def __init__(self):
        self.mobile = f"+9196{next(numbers):08d}"
        call("signup", "POST", "/auth/signup", 201, body={"mobile": self.mobile})
        user = sign_in(self.mobile, password=PASSWORD)
        # The one from before the upgrade is used to the end.
        self.token, self.refresh_token, self.id = user["token"], user["refresh_token"], user["user"]["id"]
        self.names = {None}  # of which any may be theirs now
        self.sent, self.unsure, self.asked = [], [], []
        self.links, self.files, self.titles = {}, {}, {}
        self.room = self.make_room("steady")
        self.forked = self.make_room("forked")
        self.call("subscribe-pro", "POST", "/subscribe/pro", 201, headers=once())
        self.send()

    def call(self, *request, **more):
        return call(*request, token=self.token, **more)

    def make_room(self, title):
        room = self.call("create-chatroom", "POST", "/chatroom", 201, body={"title": title}, headers=once())["id"]
        self.titles[room] = title
        return room

    def message(self, room, message, *rest):
        return "/".join([f"/chatroom/{room}/message/{message}", *rest])

    def finished(self, room, reply):
        """The reply once it has ended."""
        while True:
            message = self.call("get-message", "GET", self.message(room, reply), 200, headers={"Prefer": "wait=10"})
            if message["status"] not in ("queued", "running"):
                return message
            if is_over.is_set():
                raise Away("a reply that has not ended")

    # What people do. Each is a few requests that belong together.

    def send(self):
        content = f"Message {next(numbers)} of {self.mobile}"
        self.unsure.append(content)
        said = self.call("send-message", "POST", f"/chatroom/{self.room}/message", 202, body={"content": content}, headers=once())
        self.unsure.remove(content)
        self.sent.append((content, said["message"]["id"], said["reply"]["id"]))

    def send_and_read(self):
        self.send()
        _, _, reply = self.sent[-1]
        self.call("stream-reply", "GET", self.message(self.room, reply, "stream"), 200, headers={"Accept": "text/event-stream"})

    def fork(self):
        path = f"/chatroom/{self.forked}/message"
        content = f"Question {next(numbers)}"
        first = self.call("send-message", "POST", path, 202, body={"content": content}, headers=once())
        question, reply = first["message"]["id"], first["reply"]["id"]
        self.asked.append((content, question, reply))
        if self.finished(self.forked, reply)["status"] != "done":
            return
        self.call("get-provenance", "GET", self.message(self.forked, reply, "provenance"), 200)
        again = self.call("regenerate-reply", "POST", self.message(self.forked, reply, "regenerate"), 202, headers=once())
        self.asked.append((content, question, again["reply"]["id"]))
        other = content + ", in other words"
        edited = self.call("edit-message", "PATCH", self.message(self.forked, question), 202, body={"content": other}, headers=once())
        self.asked.append((other, edited["message"]["id"], edited["reply"]["id"]))
        self.call("choose-message", "POST", self.message(self.forked, reply, "choose"), 200)
        self.call("continue-reply", "POST", self.message(self.forked, reply, "continue"), 409)
        cut = self.call("send-message", "POST", path, 202, body={"content": content}, headers=once())
        self.call("cancel-reply", "POST", self.message(self.forked, cut["reply"]["id"], "cancel"), 200, 409)

    def look(self):
        for endpoint, path in [
            ("get-me", "/user/me"), ("list-chatrooms", "/chatroom"), ("get-chatroom", f"/chatroom/{self.room}"),
            ("list-messages", f"/chatroom/{self.room}/message?limit=10"), ("search-messages", "/search?q=message"),
            ("list-shares", "/share"), ("list-trash", "/trash"), ("get-usage", "/user/usage"), ("list-ledger", "/user/usage/ledger"),
            ("list-sessions", "/auth/sessions"), ("list-security-events", "/user/security-events"),
            ("subscription-status", "/subscription/status"), ("explain-subscription", "/subscription/explain"),
            ("list-invoices", "/subscription/invoices"),
        ]:
            self.call(endpoint, "GET", path, 200)
        for endpoint, path in [("health", "/health"), ("ready", "/ready"), ("metrics", "/metrics"), ("jwks", "/.well-known/jwks.json")]:
            call(endpoint, "GET", path, 200)

    def export(self):
        whole = self.call("export-me", "GET", "/user/export", 200)
        if not whole.endswith(b'{"type":"end"}\n'):
            answers.add("export-me", "cut short", (200,), whole[-100:])

    def pay(self):
        self.call("refresh-subscription", "POST", "/subscription/refresh", 200, 429)  # once a minute and user
        self.call("subscription-portal", "POST", "/subscription/portal", 201, 409, headers=once())
        self.call("cancel-subscription", "POST", "/subscription/cancel", 200, 409)
        self.call("resume-subscription", "POST", "/subscription/resume", 200, 409)

    def rename(self):
        name = f"Name {next(numbers)}"
        self.names.add(name)
        self.call("update-me", "PATCH", "/user/me", 200, body={"username": name})
        self.names = {name}

    def refresh(self):
        self.refresh_token = call("refresh", "POST", "/auth/refresh", 200, body={"refresh_token": self.refresh_token})["refresh_token"]

    def tidy(self):
        room = self.make_room("to be thrown away")
        del self.titles[room]
        self.call("update-chatroom", "PATCH", f"/chatroom/{room}", 200, body={"pinned": True})
        self.call("delete-chatroom", "DELETE", f"/chatroom/{room}", 204, repeated=[404])
        self.call("restore-chatroom", "POST", f"/trash/{room}/restore", 200, repeated=[404, 409])
        self.call("delete-chatroom", "DELETE", f"/chatroom/{room}", 204, repeated=[404])
        self.call("purge-chatroom", "DELETE", f"/trash/{room}", 204, repeated=[404])

    def keep_file(self):
        data = b"%PDF-1.7\n" + os.urandom(120_000) + b"\nstartxref\n0\n%%EOF\n"
        headers = {"Content-Type": "application/pdf", **once()}
        kept = self.call("upload-attachment", "POST", "/attachment?name=a.pdf", 201, body=data, headers=headers)["id"]
        self.files[kept] = data
        other = self.call("upload-attachment", "POST", "/attachment", 201, body=data, headers={**headers, **once()})["id"]
        self.call("get-attachment", "GET", f"/attachment/{other}", 200)
        self.call("delete-attachment", "DELETE", f"/attachment/{other}", 204, repeated=[404])

    def share(self):
        path = f"/chatroom/{self.room}/share"
        token = self.call("share-chatroom", "POST", path, 201, body={}, headers=once())["url"].split("#")[1]
        self.links[token] = call("get-shared", "GET", f"/shared/{token}", 200)
        other = self.call("share-chatroom", "POST", path, 201, body={}, headers=once())["id"]
        self.call("revoke-share", "DELETE", f"/share/{other}", 204, repeated=[404])

    def visit(self):
        """Somebody comes, signs in and out in all ways, and leaves for good."""
        mobile = f"+9197{next(numbers):08d}"
        call("signup", "POST", "/auth/signup", 201, body={"mobile": mobile}, repeated=[409])
        sign_in(mobile, password=PASSWORD)
        call("login", "POST", "/auth/login", 200, body={"mobile": mobile, "password": PASSWORD})
        two = call("login", "POST", "/auth/login", 200, body={"mobile": mobile, "password": PASSWORD})
        sessions = call("list-sessions", "GET", "/auth/sessions", 200, token=two["token"])
        other = next(session["id"] for session in sessions["sessions"] if not session["current"])
        call("revoke-session", "DELETE", f"/auth/sessions/{other}", 204, token=two["token"], repeated=[404])
        call("revoke-other-sessions", "DELETE", "/auth/sessions", 204, token=two["token"])
        body = {"current_password": PASSWORD, "new_password": PASSWORD + " staple"}
        call("change-password", "POST", "/auth/change-password", 204, token=two["token"], body=body, repeated=[401])
        call("logout", "POST", "/auth/logout", 204, token=two["token"], repeated=[401])
        sent = call("forgot-password", "POST", "/auth/forgot-password", 200, body={"mobile": mobile})
        body = {"mobile": mobile, "otp": sent["otp"], "new_password": PASSWORD}
        call("reset-password", "POST", "/auth/reset-password", 204, body=body, repeated=[401])
        last = call("login", "POST", "/auth/login", 200, body={"mobile": mobile, "password": PASSWORD})
        call("delete-me", "DELETE", "/user/me", 204, token=last["token"], body={"password": PASSWORD}, repeated=[401])

    def threads(self):
        """Who waits for replies holds up nothing else that they do."""
        chats = [self.send, self.send_and_read, self.fork]
        seldom = [self.export, self.pay, self.rename, self.refresh, self.tidy, self.keep_file, self.share, self.visit]
        return [threading.Thread(target=self.use, args=[things]) for things in (chats, [self.look] * 4 + seldom)]

    def use(self, things):
        """Does one thing after another until the phase is over."""
        while not is_over.is_set():
            try:
                random.choice(things)()
            except Away:
                time.sleep(0.1)
            except Exception as error:  # an answer without what it should hold
                answers.wrong.append(f"{answers.phase}: {type(error).__name__}: {error}")
            time.sleep(random.uniform(0, 0.05))

    # What must be there in the end.

    def losses(self):
        """Everything that was acknowledged and is not there, as sentences."""
        def get(path, token=self.token):
            status, text = ask("GET", path, token)
            return json.loads(text) if status == 200 else {"status": status}

        if get("/user/me").get("user", {}).get("id") != self.id:
            yield "their access token of before does not work"
        if get("/user/me").get("user", {}).get("username") not in self.names:
            yield "their name is another"
        status, text = ask("POST", "/auth/refresh", body={"refresh_token": self.refresh_token})
        renewed = json.loads(text) if status == 200 else {}
        self.refresh_token = renewed.get("refresh_token", self.refresh_token)
        if get("/user/me", renewed.get("token")).get("user", {}).get("id") != self.id:
            yield f"their session does not go on: {status}"
        for room, title in self.titles.items():
            if get(f"/chatroom/{room}?limit=1").get("title") != title:
                yield f"the room {title} is gone"

        stored, cursor = {}, ""
        while cursor is not None:
            page = get(f"/chatroom/{self.room}/message?limit=100&cursor={urllib.parse.quote(cursor)}")
            stored |= {message["id"]: message["content"] for message in page.get("messages", [])}
            cursor = page.get("next_cursor")
        contents = collections.Counter(stored.values())
        for content, question, _ in self.sent:
            if stored.get(question) != content or contents[content] != 1:
                yield f"{content!r} is there {contents[content]} times"
        for content in self.unsure:
            if contents[content] > 1:
                yield f"{content!r}, of which nobody was told, is there {contents[content]} times"
        for room, turns in [(self.room, self.sent), (self.forked, self.asked)]:
            for content, question, reply in turns:
                if get(self.message(room, question)).get("content") != content:
                    yield f"{content!r} is gone"
                answer = self.reply(get, room, reply)
                if answer.get("status") != "done" or not answer.get("content"):
                    yield f"{content!r} has no reply: {answer}"

        for token, shown in self.links.items():
            if get(f"/shared/{token}", None) != shown:
                yield f"the link {token[:6]}… does not show what it showed"
        for file, data in self.files.items():
            if ask("GET", f"/attachment/{file}", self.token) != (200, data):
                yield f"the file {file} is another"

    def reply(self, get, room, reply):
        deadline = time.monotonic() + 120
        while True:
            answer = get(self.message(room, reply))
            if answer.get("status") not in ("queued", "running") or time.monotonic() > deadline:
                return answer
            time.sleep(0.2)


def database():
    return f"postgresql://postgres@/app?host={state}/run/postgres"


def run(command, **environment):
    began = time.monotonic()
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command} failed: {done.stderr}")
    return done.stdout.strip(), time.monotonic() - began


def use_for(people, seconds, meanwhile=None):
    """Has people use the site for so long, and after something that is done meanwhile for as long again."""
    is_over.clear()
    threads = [thread for person in people for thread in person.threads()]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    if meanwhile:
        answers.phase = "meanwhile"
        meanwhile()
        time.sleep(MEANWHILE)
    is_over.set()
    for thread in threads:
        thread.join()


def migrate():
    told, seconds = run([f"{new}/.build/release/cron-worker", "--migrate"], DATABASE_URL=database())
    print(f"migrated in {seconds:.1f} s: {told.split(',')[0]} …", flush=True)


def upgrade():
    serve = Serve(old, "old")
    try:
        run([f"{old}/bench/fill", "50000", "100", "5000"], DATABASE_URL=database())
        people = [Person() for _ in range(8)]
        use_for(people, BEFORE, meanwhile=migrate)
    finally:
        serve.end()
    serve = Serve(new, "new")
    try:
        answers.phase = "after"
        use_for(people, AFTER)
        print(answers.table())
        losses = [f"{person.mobile}: {loss}" for person in people for loss in person.losses()]
        acknowledged = sum(len(person.sent) + len(person.asked) for person in people)
        print(f"of {acknowledged} acknowledged messages, {sum(len(p.links) for p in people)} links, "
              f"{sum(len(p.files) for p in people)} files and {len(people)} sessions lost: {len(losses)}")
        check(people[0])
    finally:
        serve.end()
    for line in answers.wrong[:20] + losses[:20]:
        print(line)
    sys.exit(bool(answers.wrong or losses))


def check(person):
    """Shows that a loss would be noticed: takes a message away, and changes a byte of each file."""
    content, question, _ = person.sent[-1]
    before = list(person.losses())
    run([psql, "-qXc", f"delete from messages where id = '{question}'", database()])
    for file in person.files:
        change = "update attachment_pieces set data = set_byte(data, 9, 255 - get_byte(data, 9))"
        run([psql, "-qXc", f"{change} where attachment_id = '{file}' and number = 0", database()])
    noticed = [loss for loss in person.losses() if loss not in before]
    if not any(repr(content) in loss for loss in noticed) or person.files and not any("the file" in loss for loss in noticed):
        sys.exit(f"a message was taken away and files were changed, and that was noticed alone: {noticed}")
    print(f"taken away or changed for a trial, and noticed: {len(noticed)}")


upgrade()
