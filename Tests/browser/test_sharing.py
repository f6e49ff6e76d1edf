import base64
import struct
import zlib

import pytest
from playwright.sync_api import expect
from serving import needs

markup = "[sandbox:say] **Shared** <script>alert(1)</script>"


def png(width=8, height=8):
    """A picture of one colour, made here."""
    def part(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    lines = b"".join(b"\0" + b"\x0f\x6b\x62" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(lines)) + part(b"IEND", b"")


pdf = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

# How files come to a page by other ways than its button: an event that carries them.
bring = """([selector, kind, files]) => {
    const data = new DataTransfer();
    for (const { name, type, bytes } of files) data.items.add(new File([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))], name, { type }));
    const event = kind === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
        : new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector(selector).dispatchEvent(event);
}"""


def file(name, type, data):
    return {"name": name, "type": type, "bytes": base64.b64encode(data).decode()}


@needs("share-chatroom", "list-shares", "revoke-share", "get-shared")
def test_a_chat_is_shared_read_by_a_stranger_and_shared_no_more(person, people):
    person.asks(markup)
    person.asks("[sandbox:say] " + "More than a screen.\n\n" * 40)
    person.opens_room_menu("Share")
    person.looks("share")
    person.presses("Make a link")
    link = person.page.get_by_role("textbox", name="The link")
    url = link.input_value()
    person.looks("share-link")
    person.presses("Close", within=person.page.get_by_role("dialog"))

    reader = people()
    reader.page.goto(url.replace(url.split("/shared")[0], reader.url))
    expect(reader.page.get_by_text("Shared").last).to_be_visible()
    expect(reader.page.locator("strong").first).to_have_text("Shared")
    reader.looks("shared")
    reader.page.mouse.move(100, 200)
    reader.page.mouse.wheel(0, 10_000)
    expect(reader.page.locator(".message-foot").last).to_be_in_viewport()

    person.opens("/#/settings/shared")
    person.looks("settings-shared")
    person.presses("Revoke")
    person.sees("You share nothing.")
    reader.expects(404)
    reader.page.reload()
    expect(reader.page.locator("strong")).to_have_count(0)


def test_files_are_attached_by_button_paste_and_drop(person):
    with person.page.expect_file_chooser() as chooser:
        person.presses("Attach pictures or PDFs")
    chooser.value.set_files({"name": "green.png", "mimeType": "image/png", "buffer": png()})
    person.page.evaluate(bring, [".composer textarea", "paste", [file("paper.pdf", "application/pdf", pdf)]])
    person.page.evaluate(bring, ["main", "drop", [file("other.png", "image/png", png(9)), file("page.html", "text/html", b"<b>")]])
    waiting = person.page.locator(".composer .attachments li")
    expect(waiting).to_have_count(3)
    person.sees("page.html is no PNG, JPEG, WebP, HEIC or PDF.")
    expect(person.page.locator(".composer [aria-busy=true]")).to_have_count(0)
    person.presses("Remove other.png")
    expect(waiting).to_have_count(2)
    person.looks("attaching")
    person.asks("What is this?")
    sent = person.questions.first.locator(".attachments li")
    expect(sent).to_have_text(["green.png", "paper.pdf"])
    expect(sent.first.locator("img")).to_be_visible()
    person.looks("attached")
    with person.page.expect_download() as download:
        person.presses("paper.pdf")
    assert download.value.path().read_bytes() == pdf
    person.page.reload()
    expect(sent).to_have_text(["green.png", "paper.pdf"])


def test_a_file_that_cannot_be_read_is_left_out_by_an_edit(person):
    chunk = b"tEXt[sandbox:unreadable]"
    bad = png()[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png()[33:]
    person.page.evaluate(bring, ["main", "drop", [file("bad.png", "image/png", bad), file("good.png", "image/png", png())]])
    expect(person.page.locator(".composer .attachments li")).to_have_count(2)
    expect(person.page.locator(".composer [aria-busy=true]")).to_have_count(0)
    person.sends("What is this?")
    person.sees("Gemini cannot read an attached file.", exact=False)
    person.presses("Edit", within=person.questions.first)
    person.presses("Remove bad.png", within=person.questions.first)
    person.looks("editing-files")
    person.presses("Ask this instead")
    expect(person.replies.first).to_contain_text("This answer comes from the sandbox")
    expect(person.questions.first.locator(".attachments li")).to_have_text(["good.png"])


@pytest.mark.parametrize("device", ["desktop"])
def test_a_file_that_is_not_what_it_says_is_refused_in_words(person):
    person.expects(415)
    person.page.evaluate(bring, ["main", "drop", [file("fake.png", "image/png", b"no picture")]])
    person.sees("The body must be a PNG")
    expect(person.page.locator(".composer .attachments li")).to_have_count(0)
