import time

from playwright.sync_api import expect


def rooms(person):
    person.opens_sidebar()
    return person.page.locator(".room-list li")


def make(person, *titles):
    for title in titles:
        person.room = person.site.call("POST", "/chatroom", {"title": title}, person.token)["id"]
    person.opens(f"/#/room/{person.room}")
    person.page.reload()


def test_a_room_is_renamed(person):
    make(person, "Old name")
    person.opens_room_menu("Rename")
    expect(person.page.get_by_label("Title")).to_be_focused()
    person.looks("rename")
    person.fills("Title", "New name")
    person.presses("Rename")
    expect(person.page.locator("h1")).to_have_text("New name")
    expect(rooms(person)).to_have_text(["New name"])


def test_a_room_is_pinned_above_the_others(person):
    make(person, "First", "Second", "Third")
    person.opens(f"/#/room/{person.site.call('GET', '/chatroom', token=person.token)['chatrooms'][2]['id']}")
    person.opens_room_menu("Pin")
    person.opens_sidebar()
    person.sees("Pinned")
    expect(rooms(person)).to_have_text(["First", "Third", "Second"])
    person.looks("pinned")


def test_a_room_goes_into_the_archive_and_comes_out_of_it(person):
    make(person, "Kept", "Archived")
    person.opens_room_menu("Archive")
    expect(rooms(person)).to_have_text(["Kept"])
    person.page.get_by_role("link", name="Archive", exact=True).click()
    person.sees("Archived", within=person.page.locator(".rows"))
    person.looks("archive")
    person.presses("Take out")
    person.sees("Nothing is archived.")
    expect(rooms(person)).to_have_count(2)


def test_a_room_goes_into_the_trash_and_comes_back_or_is_gone_for_good(person):
    make(person, "Kept", "Deleted")
    person.takes_time()
    person.opens_room_menu("Move to trash")
    expect(rooms(person)).to_have_text(["Kept"])
    person.presses("Undo")
    expect(rooms(person)).to_have_count(2)
    person.opens(f"/#/room/{person.room}")
    person.opens_room_menu("Move to trash")
    expect(person.page.locator("h1")).to_have_text("New chat")
    person.opens_sidebar()
    person.page.get_by_role("link", name="Trash", exact=True).click()
    person.sees("gone for good on")
    person.looks("trash")
    person.presses("Restore")
    person.sees("The trash is empty.")
    expect(rooms(person)).to_have_count(2)
    person.opens(f"/#/room/{person.room}")
    person.opens_room_menu("Move to trash")
    expect(person.page.locator("h1")).to_have_text("New chat")
    person.opens("/#/trash")
    person.presses("Delete for good")
    person.looks("purge")
    person.presses("Delete for good", within=person.page.get_by_role("dialog"))
    person.sees("The trash is empty.")
    expect(rooms(person)).to_have_text(["Kept"])


def test_a_notice_covers_nothing(person):
    make(person, "Kept", "Deleted")
    person.page.clock.install()
    person.page.clock.pause_at(time.time() + 60)  # it stays for as long as is looked at it
    person.opens_room_menu("Move to trash")
    notice = person.page.locator(".notice")

    def is_beside(selector):
        one, other = notice.bounding_box(), person.page.locator(selector).first.bounding_box()
        assert one["y"] >= other["y"] + other["height"], f"{selector}: {other}, and the notice {one}"

    expect(notice).to_be_visible()
    for selector in (".bar", ".scroller", ".dock"):
        is_beside(selector)
    person.opens_sidebar()
    is_beside(".foot")
    person.page.get_by_role("link", name="Trash", exact=True).click()
    person.sees("gone for good on")
    for selector in (".bar", ".page"):
        is_beside(selector)
    notice.hover()
    person.page.clock.resume()
    person.looks("notice")
    person.presses("Undo")
    expect(notice).to_have_count(0)
    expect(rooms(person)).to_have_count(2)


def test_what_was_said_is_found_and_shown_where_it_was_said(person):
    make(person, "About birds")
    person.asks("The albatross <b>sleeps</b> while it flies")
    person.asks("Something else")
    person.opens_sidebar()
    search = person.page.get_by_role("searchbox")
    search.fill("albatross")
    hit = person.page.locator(".results li").last
    expect(hit.locator("mark").first).to_have_text("albatross")
    expect(hit).to_contain_text("<b>sleeps</b>")
    person.looks("search")
    hit.get_by_role("link").click()
    expect(person.page.locator(".is-found")).to_contain_text("albatross")
    person.opens_sidebar()
    search.fill("nowhere to be found")
    person.sees("Nothing has “nowhere to be found” in it.")
    search.press("Escape")
    expect(rooms(person)).to_have_count(1)


def test_a_room_gets_an_instruction_another_model_and_a_time_to_keep_messages(person):
    make(person, "Settings")
    person.opens_room_menu("Model and instruction")
    person.page.get_by_label("Model", exact=True).select_option("gemini-3.5-flash-lite")
    person.fills("Instruction", "Answer in one word.")
    person.fills("Keep messages for (days)", "30")
    person.looks("room-settings")
    person.presses("Save")
    person.page.get_by_role("dialog").wait_for(state="detached")
    reply = person.asks("What are you told?")
    expect(reply).to_contain_text("Answer in one word.")
    expect(reply).to_contain_text("gemini-3.5-flash-lite")
    room = person.site.call("GET", f"/chatroom/{person.room}", token=person.token)
    assert room["retention_days"] == 30
