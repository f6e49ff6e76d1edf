"""People who use a deployment over HTTP."""
import base64
import http.client
import json
import secrets
import sys
import urllib.parse

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


class Site:
    """The deployment as its clients see it."""

    def __init__(self, url):
        self.place = urllib.parse.urlsplit(url).netloc

    def ask(self, method, path, token=None, body=None, **headers):
        """The status and the answer, which is read where it is JSON. A body that is an object is sent as JSON."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict):
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection(self.place, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        return response.status, json.loads(text) if "json" in response.getheader("Content-Type", "") else text

    def get(self, method, path, *arguments, **headers):
        """The answer, which has to be a good one."""
        status, answer = self.ask(method, path, *arguments, **headers)
        if not 200 <= status < 300:
            sys.exit(f"{method} {path} gave {status}: {answer}")
        return answer


class Person:
    """Somebody who is signed in."""

    def __init__(self, site, name):
        self.site, self.name, self.mobile = site, name + secrets.token_hex(6), new_number()
        site.get("POST", "/auth/signup", None, {"mobile": self.mobile, "username": self.name})
        otp = site.get("POST", "/auth/send-otp", None, {"mobile": self.mobile})["otp"]
        signed_in = site.get("POST", "/auth/verify-otp", None, {"mobile": self.mobile, "otp": otp, "username": self.name})
        self.token, self.id = signed_in["token"], signed_in["user"]["id"]
        payload = self.token.split(".")[1]
        self.session = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"]

    def get(self, method, path, body=None, **headers):
        return self.site.get(method, path, self.token, body, **headers)


class Victim(Person):
    """Somebody who has one of everything. `marks` is what nobody else may get to read of it."""

    def __init__(self, site):
        super().__init__(site, "victim")
        title, question, file = (f"{word}-{secrets.token_hex(8)}" for word in ("title", "question", "file"))
        self.room = self.get("POST", "/chatroom", {"title": title})["id"]
        attachment = self.get("POST", f"/attachment?name={file}.png", PICTURE, Content_Type="image/png")["id"]
        sent = self.get("POST", f"/chatroom/{self.room}/message", {"content": question, "attachments": [attachment]})
        self.reply = sent["reply"]["id"]
        reply = self.get("GET", f"/chatroom/{self.room}/message/{self.reply}", Prefer="wait=20")
        if reply["status"] != "done":
            sys.exit(f"the reply is {reply['status']}")
        share = self.get("POST", f"/chatroom/{self.room}/share", {})
        self.share, self.link = share["id"], share["url"].rpartition("#")[2]
        self.get("POST", "/subscribe/pro")
        self.marks = [self.name, title, question, file, self.link, self.session, reply["content"][:20]]


def new_number():
    return "+9198" + "".join(secrets.choice("0123456789") for _ in range(8))
