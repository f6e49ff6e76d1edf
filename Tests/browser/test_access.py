"""Without a mouse, without seeing, on a slow line."""

import pytest
from playwright.sync_api import expect


@pytest.mark.parametrize("device", ["desktop"])
def test_everything_is_reached_by_keyboard(person):
    keys = person.page.keyboard
    keys.type("Typed without a mouse")
    keys.press("Enter")
    expect(person.replies.first.get_by_role("button", name="Ask again")).to_be_visible()
    expect(person.field).to_be_focused()
    keys.type("one")
    keys.press("Shift+Enter")
    keys.type("two")
    expect(person.field).to_have_value("one\ntwo")
    person.field.fill("")

    skip = person.page.get_by_role("link", name="Skip to the content")
    expect(skip).not_to_be_in_viewport()
    skip.focus()  # it is the first of all
    expect(skip).to_be_in_viewport()
    keys.press("Enter")
    expect(person.page.get_by_role("main")).to_be_focused()
    for _ in range(2):
        keys.press("Tab")
    menu = person.page.get_by_role("button", name="Actions for this chat")
    expect(menu).to_be_focused()
    keys.press("Enter")
    expect(person.page.get_by_role("menuitem", name="Rename")).to_be_focused()
    keys.press("ArrowDown")
    expect(person.page.get_by_role("menuitem", name="Pin")).to_be_focused()
    keys.press("End")
    expect(person.page.get_by_role("menuitem", name="Move to trash")).to_be_focused()
    keys.press("ArrowDown")
    expect(person.page.get_by_role("menuitem", name="Rename")).to_be_focused()
    person.looks("menu")
    keys.press("Escape")
    expect(menu).to_be_focused()
    keys.press("Enter")
    keys.press("Enter")
    expect(person.page.get_by_role("dialog", name="Rename the chat")).to_be_visible()
    expect(person.page.get_by_label("Title")).to_be_focused()
    keys.press("Escape")
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    expect(menu).to_be_focused()


@pytest.mark.parametrize("device", ["phone"])
def test_on_a_phone_the_chats_are_a_drawer(person):
    button = person.page.get_by_role("button", name="Chats")
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(person.page.get_by_role("link", name="New chat")).to_be_hidden()
    button.click()
    expect(person.page.get_by_role("link", name="New chat")).to_be_focused()
    person.looks("drawer")
    assert person.page.locator(".stage").evaluate("stage => stage.inert")
    person.page.keyboard.press("Escape")
    expect(person.page.get_by_role("link", name="New chat")).to_be_hidden()
    expect(button).to_be_focused()
    button.click()
    person.page.locator(".veil").click(position={"x": 340, "y": 300})
    expect(button).to_be_focused()


@pytest.mark.parametrize("device", ["desktop"])
def test_a_screen_reader_hears_a_reply_once_and_not_word_by_word(person):
    person.page.evaluate("""() => {
        window.heard = [];
        window.isRead = new Promise(done => {
            new MutationObserver(() => {
                const text = document.querySelector('#live').textContent;
                if (text) heard.push(text);
                if (text.includes('word')) done();
            }).observe(document.querySelector('#live'), { childList: true });
            setTimeout(done, 60_000);
        });
    }""")
    person.asks("[sandbox:chunks n=20 ms=30] [sandbox:say] " + " ".join(f"word{n}" for n in range(100)))
    # The page's policy forbids wait_for_function, which evaluates a text again and again.
    person.page.evaluate("isRead")
    heard = person.page.evaluate("heard")
    assert heard[0] == "The reply is being written."
    assert [text for text in heard if "word" in text] == ["The reply: " + " ".join(f"word{n}" for n in range(60)) + "… and 40 words more."]


@pytest.mark.parametrize("device", ["desktop"])
def test_nothing_moves_for_those_who_want_it_so(people, sign_up):
    person = people(session=sign_up(), reduced_motion="reduce")
    person.opens()
    person.sends("[sandbox:slow ms=20000] Wait")
    person.page.locator(".is-waiting").wait_for()
    running = "document.getAnimations().filter(a => a.playState === 'running').length"
    person.page.wait_for_timeout(100)
    assert person.page.evaluate(running) == 0


@pytest.mark.parametrize("device", ["desktop"])
def test_the_first_paint_takes_less_than_100_kb(people, sign_up):
    """Bytes of all answers, with their headers, compressed as they are sent; without Markdown, which comes with the first reply."""
    for session in (None, sign_up()):
        person = people(session=session)
        network = person.context.new_cdp_session(person.page)
        network.send("Network.enable")
        sizes = []
        network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        person.opens()
        (person.field if session else person.page.get_by_role("heading", name="Sign in")).wait_for()
        person.page.wait_for_load_state("networkidle")
        print(f"first paint, {'signed in' if session else 'signing in'}: {sum(sizes)} bytes in {len(sizes)} answers")
        assert len(sizes) > 20 and sum(sizes) < 100_000


@pytest.mark.parametrize("device", ["desktop"])
def test_files_are_served_as_what_they_are_and_asked_for_again_only_when_they_change(people, site):
    request = people().page.request
    for path, type in {"/": "text/html", "/style.css": "text/css", "/app.js": "text/javascript", "/icon.svg": "image/svg+xml"}.items():
        answer = request.get(site.url + path)
        assert answer.headers["content-type"].startswith(type)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        again = request.get(site.url + path, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status == 304
        # The browser replaces what it has kept by what comes with a 304.
        assert again.headers["content-security-policy"] == answer.headers["content-security-policy"]
    for path in ("/nowhere.js", "/vendor/", "/vendor/marked", "/.htaccess", "/nginx.conf"):
        answer = request.get(site.url + path)
        assert (answer.status, answer.json()["code"]) == (404, "not_found"), path
    answer = request.delete(site.url + "/style.css")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
