"""Somebody in front of a browser."""

import json
import random
import re
import string
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import expect

from serving import root

devices = {
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 1},
    "desktop": {"viewport": {"width": 1280, "height": 800}},
}
pictures = root / ".local" / "screenshots"
axe = files("axe_playwright_python").joinpath("axe.min.js").read_text()


def new_number():
    return "+9198" + "".join(random.choices(string.digits, k=8))


class Person:
    """One browser profile and its page. What the page complains of fails the test that it belongs to."""

    def __init__(self, browser, device, site, url=None, session=None, **options):
        self.site = site
        self.url = url or site.url
        self.device = device
        state = None
        if session:
            kept = {**session, "until": 4_000_000_000_000}
            state = {"origins": [{"origin": self.url, "localStorage": [{"name": "session", "value": json.dumps(kept)}]}]}
        self.context = browser.new_context(**devices[device], storage_state=state, locale="en-GB", **options)
        self.context.set_default_timeout(60_000)
        self.complaints = []
        self.expected = set()
        self.page = self.new_tab()

    def new_tab(self):
        page = self.context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error.stack}"))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("response", self._response)
        return page

    def expects(self, *statuses):
        """These answers are part of what is tested."""
        self.expected.update(statuses)

    def _console(self, message):
        # That of a failed request has no address of its own; it is judged by its answer.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.complaints.append(f"console: {message.text}")

    def _response(self, response):
        if response.status >= 400 and response.status not in self.expected:
            self.complaints.append(f"{response.status} {response.request.method} {urlsplit(response.url).path}")

    def end(self):
        self.context.close()
        assert not self.complaints, self.complaints

    @property
    def token(self):
        return json.loads(self.page.evaluate("localStorage.session"))["token"]

    # What people do

    def opens(self, path="/"):
        self.page.goto(self.url + path)
        return self

    def presses(self, name, within=None, exact=True):
        (within or self.page).get_by_role("button", name=name, exact=exact).first.click()

    def fills(self, label, text):
        self.page.get_by_label(label, exact=True).fill(text)

    @property
    def field(self):
        return self.page.get_by_role("textbox", name="Message", exact=True)

    @property
    def replies(self):
        return self.page.locator(".of-model")

    @property
    def questions(self):
        return self.page.locator(".of-user")

    def sends(self, text):
        self.field.fill(text)
        self.presses("Send")

    def asks(self, text):
        """Sends a message and waits until its reply is there; the reply."""
        before = self.replies.count()
        self.sends(text)
        reply = self.replies.nth(before)
        expect(reply.get_by_role("button", name="Ask again")).to_be_visible()
        return reply

    def comes_back(self):
        """As from another tab or window."""
        self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def opens_sidebar(self):
        if self.device == "phone" and not self.page.locator(".chat.is-open").count():
            self.presses("Chats")

    def opens_room_menu(self, item=None):
        self.presses("Actions for this chat")
        if item:
            self.page.get_by_role("menuitem", name=item, exact=True).click()

    def sees(self, text, within=None, **options):
        expect((within or self.page).get_by_text(text, **options).first).to_be_visible()

    def takes_time(self):
        """Has notices stay, on the page as it is loaded now, for however long a busy machine needs until it has looked at them."""
        self.page.evaluate("""() => {
            const timeout = window.setTimeout;
            window.setTimeout = (run, pause, ...more) => timeout(run, pause === 10_000 ? 600_000 : pause, ...more);
        }""")

    # What is looked at

    def looks(self, name):
        """Keeps a picture, light and dark, and has axe-core look: nothing serious, and nothing wider than the window."""
        pictures.mkdir(parents=True, exist_ok=True)
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            self.page.screenshot(path=pictures / f"{name}-{self.device}-{scheme}.png", animations="disabled")
            if not self.page.evaluate("'axe' in window"):
                self.page.evaluate(axe)
            found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            grave = [(v["id"], [n["html"] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")]
            assert not grave, f"{name}, {self.device}, {scheme}: {grave}"
        self.page.emulate_media(color_scheme="light")
        width = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], f"{name}: {width[0]} px wide on {width[1]}"

    @staticmethod
    def code_in(text):
        return re.search(r"\d{6}", text).group()
