"""Takes the README's picture of the page, docs/chat.png: beside each other on a desktop, light, and on a phone, dark.

Run as Tests/page picture.
"""

import base64
from pathlib import Path

from person import Person, new_number
from playwright.sync_api import sync_playwright
from serving import Site, root

answer = """A **partial index** holds only the rows that a query looks for, so it stays small:

```sql
create index jobs_waiting on jobs (created_at)
where status = 'queued';  -- a few rows of millions
```

1. Writes to other rows don't touch it.
2. The planner takes it where the query says `status = 'queued'`.

| index | size |
|---|--:|
| on all rows | 214 MB |
| on those that wait | 16 kB |

It pays where the rows that count are few, and the others many: queues, drafts, what is not deleted yet. Where the
condition holds for most rows, an ordinary index is as good.
"""

rooms = ["Trip to Lisbon", "Reading list", "Why is the sky blue?", "Postgres indexes", "Birthday present"]


def take(site, browser, path):
    """Has somebody talk, and keeps the picture as `path`; its size in bytes."""
    mobile = new_number()
    site.call("POST", "/auth/signup", {"mobile": mobile, "username": "Asha Rao"})
    session = site.call("POST", "/auth/verify-otp", {"mobile": mobile, "otp": site.call("POST", "/auth/send-otp", {"mobile": mobile})["otp"], "username": "Asha Rao"})
    token = session["token"]
    made = [site.call("POST", "/chatroom", {"title": title}, token)["id"] for title in rooms]
    site.call("PATCH", f"/chatroom/{made[0]}", {"pinned": True}, token)

    desktop = Person(browser, "desktop", site, session=session)
    desktop.opens(f"/#/room/{made[3]}")
    desktop.asks(f"[sandbox:say] {answer}")
    desktop.page.set_viewport_size({"width": 960, "height": 600})
    desktop.page.wait_for_timeout(1_000)
    phone = Person(browser, "phone", site, session=session, color_scheme="dark")
    phone.page.set_viewport_size({"width": 340, "height": 600})
    phone.opens(f"/#/room/{made[3]}")
    phone.replies.first.wait_for()
    phone.page.wait_for_timeout(1_000)

    images = "".join(f'<img src="data:image/png;base64,{base64.b64encode(p.page.screenshot()).decode()}">' for p in (desktop, phone))
    page = browser.new_page(viewport={"width": 1348, "height": 632})
    page.set_content(f"<style>body{{margin:16px;display:flex;gap:16px;background:#cfd6d4}}img{{border-radius:12px}}</style>{images}")
    page.screenshot(path=path)
    page.close()
    desktop.end()
    phone.end()
    return Path(path).stat().st_size


if __name__ == "__main__":
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        (root / "docs").mkdir(exist_ok=True)
        print(f"docs/chat.png: {take(Site(), browser, root / 'docs' / 'chat.png')} bytes")
        browser.close()
