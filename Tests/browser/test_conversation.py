import json
import re

import pytest
from person import new_number
from playwright.sync_api import expect
from serving import needs

markdown = """# Hash tables

A **hash table** maps *keys* to `values`, see [the article](https://example.com/hash?a=1&b=2) &amp; more.

```python
def put(table, key):
    return "value"  # where it goes
```

| key | value |
|-----|------:|
| a   | 1     |

1. one
2. two
   - nested

- [x] done

> quoted
"""


def test_the_first_message_makes_a_room_and_is_answered(person):
    person.sends("Hello, Gemini")
    expect(person.questions.first).to_contain_text("Hello, Gemini")
    expect(person.replies.first).to_contain_text("This answer comes from the sandbox, not from Google")
    expect(person.replies.first.get_by_role("button", name="Ask again")).to_be_visible()
    assert re.search(r"#/room/[0-9a-f-]{36}$", person.page.url)
    expect(person.questions).to_have_count(1)
    expect(person.replies).to_have_count(1)
    # The title that the worker finds comes by itself.
    expect(person.page.locator("h1")).to_contain_text("Sandbox:")
    person.looks("conversation")


def test_a_reply_is_read_along_while_it_is_written(person):
    person.sends("[sandbox:chunks n=20 ms=500] [sandbox:say] " + " ".join(f"word{n}" for n in range(100)))
    reply = person.replies.first.locator(".body")
    expect(reply).to_contain_text("word5 ")
    expect(reply).to_have_attribute("aria-busy", "true")
    expect(reply).not_to_contain_text("word99")
    person.looks("writing")
    expect(reply).to_contain_text("word99")
    expect(reply).not_to_have_attribute("aria-busy", "true")
    assert reply.inner_text().split() == [f"word{n}" for n in range(100)]
    expect(person.page.locator("#live")).to_contain_text("The reply: word0 word1")


def test_markdown_and_code_are_shown_as_such(person):
    reply = person.asks(f"[sandbox:say] {markdown}")
    person.context.grant_permissions(["clipboard-read", "clipboard-write"])
    expect(reply.get_by_role("heading", name="Hash tables")).to_be_visible()
    expect(reply.get_by_role("link", name="the article")).to_have_attribute("href", "https://example.com/hash?a=1&b=2")
    expect(reply.locator("p").first).to_contain_text("& more")
    expect(reply.locator("code .token.keyword").first).to_have_text("def")
    expect(reply.get_by_role("cell", name="1")).to_have_class("to-right")
    expect(reply.locator("ol > li")).to_have_count(2)
    expect(reply.locator("ol ul > li")).to_have_text("nested")
    expect(reply.get_by_role("checkbox")).to_be_checked()
    person.presses("Copy", within=reply.locator(".code"))
    assert person.page.evaluate("navigator.clipboard.readText()") == 'def put(table, key):\n    return "value"  # where it goes'
    person.presses("Copy", within=reply.locator(".message-foot"))
    assert person.page.evaluate("navigator.clipboard.readText()") == markdown.strip()
    person.looks("markdown")


def test_a_reply_is_stopped_and_keeps_what_had_come(person):
    person.sends("[sandbox:chunks n=100 ms=500] Tell me all")
    reply = person.replies.first
    expect(reply.locator(".body")).to_contain_text("This answer")
    person.presses("Stop the reply")
    person.sees("Stopped", within=reply)
    expect(person.page.get_by_role("button", name="Stop the reply")).to_be_hidden()
    expect(reply.locator(".body")).to_contain_text("This answer")


def test_a_reply_is_made_anew_and_the_first_one_chosen_again(person):
    person.asks("Once more, please")
    person.presses("Ask again")
    person.sees("2 / 2")
    expect(person.replies).to_have_count(1)
    person.looks("versions")
    person.presses("Version before")
    person.sees("1 / 2")
    expect(person.page.get_by_role("button", name="Version before")).to_be_disabled()
    person.page.reload()
    person.sees("1 / 2")


def test_a_question_is_asked_in_other_words(person):
    person.asks("First words")
    person.asks("What comes after")
    person.presses("Edit", within=person.questions.first)
    field = person.page.get_by_label("Your message")
    expect(field).to_be_focused()
    person.looks("editing")
    field.fill("Other words")
    person.presses("Ask this instead")
    expect(person.questions).to_have_count(1)
    expect(person.questions.first).to_contain_text("Other words")
    expect(person.replies.first.get_by_role("button", name="Ask again")).to_be_visible()
    person.presses("Version before", within=person.questions.first)
    expect(person.questions).to_have_count(2)
    expect(person.questions.first).to_contain_text("First words")


def test_a_reply_that_cannot_be_had_says_why_and_may_be_asked_for_again(person):
    person.sends(f"[sandbox:blocked times=1] {new_number()}")  # it counts those that are the same
    person.page.locator(".state.is-bad").wait_for()
    assert len(person.page.locator(".state.is-bad").inner_text()) > 20
    person.looks("failed")
    person.presses("Ask again")
    expect(person.replies.first).to_contain_text("This answer comes from the sandbox")


def test_a_reply_that_was_cut_off_says_so_and_goes_on_at_one_click(person):
    text = f"One two three four five six {new_number()}"  # it counts those that are the same
    reply = person.asks(f"[sandbox:max-tokens times=1] [sandbox:say] {text}")
    person.sees("The reply reached its length limit.", within=reply)
    assert text.startswith(reply.locator(".body").inner_text()) and "six" not in reply.inner_text()
    person.looks("cut-off")
    person.presses("Continue", within=reply)
    expect(person.replies).to_have_count(1)
    expect(person.replies.first.locator(".body")).to_have_text(text)
    person.sees("2 / 2")
    expect(person.page.get_by_role("button", name="Continue", exact=True)).to_have_count(0)
    expect(person.page.get_by_text("length limit")).to_have_count(0)


@pytest.mark.parametrize("device", ["desktop"])
def test_several_messages_at_once_are_answered_in_their_order(person):
    person.asks("Zero")
    for word in ("One", "Two", "Three"):
        person.sends(word)
    expect(person.replies.get_by_role("button", name="Ask again")).to_have_count(4)
    texts = [text.split("\n")[-1] for text in person.page.locator(".message .body").all_inner_texts()]
    assert texts[0::2] == ["Zero", "One", "Two", "Three"]


@pytest.mark.parametrize("device", ["desktop"])
def test_older_messages_come_when_one_scrolls_up(person):
    token, room = person.token, person.site.call("POST", "/chatroom", {"title": "Long"}, person.token)["id"]
    for number in range(30):
        person.site.call("POST", f"/chatroom/{room}/message", {"content": f"[sandbox:slow ms=0] [sandbox:chunks n=1] [sandbox:say] Reply {number}"}, token)
    person.opens(f"/#/room/{room}")
    expect(person.replies.last).to_contain_text("Reply 29")
    expect(person.page.locator(".message")).to_have_count(50)
    person.page.locator(".scroller").evaluate("window => { window.scrollTop = 0; }")
    expect(person.page.locator(".message")).to_have_count(60)
    expect(person.page.get_by_role("button", name="Earlier messages")).to_be_hidden()
    person.presses("To the newest message")


@pytest.mark.parametrize("device", ["desktop"])
def test_what_another_device_has_said_is_there_when_one_comes_back(person):
    person.asks("Here")
    room = person.page.url.split("/")[-1]
    person.site.call("POST", f"/chatroom/{room}/message", {"content": "From elsewhere"}, person.token)
    person.comes_back()
    expect(person.questions).to_have_count(2)
    expect(person.replies.last.get_by_role("button", name="Ask again")).to_be_visible()


@needs("get-usage", "subscription-status", "list-invoices")
def test_a_limit_says_when_one_can_go_on_and_gives_the_message_back(person):
    person.expects(429)
    person.asks("Before")
    problem = {"type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": "Today's messages are used up.", "code": "daily_limit"}
    person.page.route("**/message", lambda route: route.fulfill(
        status=429, headers={"Content-Type": "application/problem+json", "Retry-After": "7200"}, body=json.dumps(problem)))
    person.sends("One too many")
    person.sees(re.compile(r"Today's messages are used up\. You can go on at .*\d\d:\d\d"))
    expect(person.field).to_have_value("One too many")
    expect(person.questions).to_have_count(1)
    person.looks("limit")
    person.presses("Usage and plan")
    expect(person.page.get_by_role("link", name="Plan")).to_have_attribute("aria-current", "page")


@pytest.mark.parametrize("device", ["desktop"])
def test_a_draft_is_kept_through_a_reload(person):
    person.field.fill("Half a thought")
    person.page.reload()
    expect(person.field).to_have_value("Half a thought")


@pytest.mark.parametrize("device", ["desktop"])
def test_a_room_of_somebody_else_is_not_there(person, sign_up):
    person.expects(404)
    other = sign_up()["token"]
    room = person.site.call("POST", "/chatroom", {}, other)["id"]
    person.opens(f"/#/room/{room}")
    person.sees("This chat is not there any more.")
