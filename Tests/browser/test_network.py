"""What the page does when the network fails: it says so, comes back by itself, and shows and sends everything once."""

import pytest
from playwright.sync_api import TimeoutError, expect

words = [f"word{n}" for n in range(200)]
slow = "[sandbox:chunks n=40 ms=200] [sandbox:say] " + " ".join(words)


def tries_now(person):
    """Has the page try at once, unless it did so by itself meanwhile."""
    try:
        person.page.get_by_role("button", name="Try now").click(timeout=1_000)
    except TimeoutError:
        expect(person.page.locator("#lost")).to_be_hidden()


def test_a_reply_cut_in_its_middle_is_whole_and_there_once(afar, wire):
    afar.sends(slow)
    reply = afar.replies.first.locator(".body")
    expect(reply).to_contain_text("word20 ")
    wire.cut()
    afar.sees("The connection is lost. Reconnecting…")
    afar.looks("connection-lost")
    wire.mend()
    expect(afar.page.locator("#lost")).to_be_hidden()
    expect(afar.page.get_by_role("button", name="Ask again")).to_be_visible()
    assert reply.inner_text().split() == words


@pytest.mark.parametrize("device", ["desktop"])
def test_it_may_be_cut_again_and_again(afar, wire):
    afar.sends(slow)
    reply = afar.replies.first.locator(".body")
    for word in ("word10 ", "word50 ", "word90 "):
        expect(reply).to_contain_text(word)
        wire.cut()
        afar.page.wait_for_timeout(200)
        wire.mend()
        tries_now(afar)
    expect(afar.page.get_by_role("button", name="Ask again")).to_be_visible()
    assert reply.inner_text().split() == words


@pytest.mark.parametrize("device", ["desktop"])
def test_a_reply_that_goes_on_while_nobody_is_there_is_whole_afterwards(afar, wire):
    afar.sends(slow)
    expect(afar.replies.first.locator(".body")).to_contain_text("word20 ")
    wire.cut()
    token, room = afar.token, afar.page.url.split("/")[-1]
    while afar.site.call("GET", f"/chatroom/{room}/message", token=token)["messages"][0]["status"] != "done":
        afar.page.wait_for_timeout(200)
    wire.mend()
    tries_now(afar)
    expect(afar.page.get_by_role("button", name="Ask again")).to_be_visible()
    assert afar.replies.first.locator(".body").inner_text().split() == words


def test_a_reload_in_the_middle_reads_on(person):
    person.sends(slow.replace("ms=200", "ms=500"))
    expect(person.replies.first.locator(".body")).to_contain_text("word20 ")
    person.page.reload()
    expect(person.page.get_by_role("button", name="Stop the reply")).to_be_visible()
    expect(person.page.get_by_role("button", name="Ask again")).to_be_visible()
    expect(person.replies).to_have_count(1)
    assert person.replies.first.locator(".body").inner_text().split() == words


@pytest.mark.parametrize("device", ["desktop"])
def test_who_wakes_up_to_a_dead_connection_gets_another(afar, wire):
    afar.page.clock.install()
    afar.sends(slow)
    reply = afar.replies.first.locator(".body")
    expect(reply).to_contain_text("word20 ")
    wire.silence()
    afar.page.clock.fast_forward(60_000)
    expect(afar.page.get_by_role("button", name="Ask again")).to_be_visible()
    assert reply.inner_text().split() == words


def test_a_message_whose_answer_was_lost_is_sent_again_and_there_once(afar, wire):
    afar.asks("Before")
    wire.lose_answer()
    afar.sends("Only once")
    expect(afar.replies.nth(1).get_by_role("button", name="Ask again")).to_be_visible()
    expect(afar.questions).to_have_count(2)
    room = afar.page.url.split("/")[-1]
    said = [m["content"] for m in afar.site.call("GET", f"/chatroom/{room}/message", token=afar.token)["messages"] if m["role"] == "user"]
    assert said == ["Only once", "Before"]


@pytest.mark.parametrize("device", ["desktop"])
def test_a_message_written_without_a_network_is_sent_when_it_is_back_even_after_a_reload(afar, wire):
    afar.asks("Before")
    wire.cut()
    afar.sends("Into the void")
    afar.sees("Sending…")
    afar.sees("The connection is lost. Reconnecting…")
    wire.mend()
    afar.page.reload()
    expect(afar.replies.nth(1).get_by_role("button", name="Ask again")).to_be_visible()
    expect(afar.questions).to_have_count(2)
    expect(afar.questions.last).to_contain_text("Into the void")


@pytest.mark.parametrize("device", ["desktop"])
def test_the_browser_says_that_it_is_offline(person):
    person.context.set_offline(True)
    person.sees("The connection is lost. Reconnecting…")
    person.context.set_offline(False)
    expect(person.page.locator("#lost")).to_be_hidden()


@pytest.mark.parametrize("device", ["desktop"])
def test_a_page_that_nobody_uses_asks_for_nothing(person):
    person.asks("Hello")
    expect(person.page.locator("h1")).to_contain_text("Sandbox:")  # nor is its title waited for any more
    person.page.wait_for_load_state("networkidle")
    asked = []
    person.page.on("request", lambda request: asked.append(request.url))
    person.page.wait_for_timeout(5_000)
    assert asked == []
    with person.page.expect_response("**/chatroom") as answer:
        person.comes_back()
    assert answer.value.status == 304
