"""However a reply is written, showing it takes about as long as showing plain text of its length, and all of it is shown."""

import pytest

length = 30_000


def filled(piece):
    return (piece * (length // len(piece) + 1))[:length]


def table(columns, rows):
    return "|" + "a|" * columns + "\n|" + "-|" * columns + "\n" + "b\n" * rows


replies = {
    # As models write
    "prose": filled("The *quick* brown fox has `code`, **strength** and [a link](https://example.com). "),
    "paragraphs": filled("The *quick* brown fox.\n\n"),
    "list": filled("- an item\n"),
    # What is never closed
    "emphasis": "*a " * 10_000, "strength": filled("**a "), "underscores": filled("_a "), "both": filled("*a _b "), "stars": filled("*a*"),
    "strikes": filled("~~a "), "backticks": filled("`a ``b "), "brackets": filled("[a"), "pictures": filled("![a"), "links": filled("[a]("),
    "tags": filled("<a b=\"c"), "comments": filled("a<!-- "), "nested emphasis": "*a " * 2_000 + "b* " * 2_000,
    "nested brackets": "[" * 5_000 + "a" + "](b)" * 5_000, "pairs of brackets": "[" * 15_000 + "a" + "]" * 15_000,
    # What is deep
    "quotes": "> " * 15_000 + "a", "lists in a line": "1. " * 10_000 + "a", "quotes and lists": filled("> - ") + "a",
    "deep list": "\n".join(" " * depth + "- a" for depth in range(240)), "nested list": filled("- a\n  - b\n    - c\n"),
    # What multiplies
    "wide table": table(3_000, 3_000), "bars": filled("|a"), "definitions": "".join(f"[a{n}]: b\n" for n in range(2_000)) + "\n" + "a\n\n" * 2_000,
    "references": filled("[a][b] "), "rules": filled("a\n-\n"), "headings": filled("# a\n"), "addresses": filled("a.b-c_"),
}

render = """async (text) => {
    const { renderMarkdown } = await import('/markdown.js');
    await renderMarkdown('*warm*', document.createElement('div')); // the library is there
    const element = document.createElement('div');
    const began = performance.now();
    await renderMarkdown(text, element);
    return { milliseconds: performance.now() - began, letters: element.textContent.match(/a/g)?.length ?? 0 };
}"""


@pytest.fixture(scope="module")
def page(browser, site):
    page = browser.new_page()
    page.goto(site.url)
    yield page
    page.close()


@pytest.mark.parametrize("name", replies)
def test_a_reply_takes_no_longer_than_plain_text(page, name):
    text = replies[name]
    # The quickest of a few, for what else runs here takes time too. In short paragraphs, as elements take their time as well.
    plain = ("a" * 9 + "\n\n") * (len(text) // 11)
    least = min(page.evaluate(render, plain)["milliseconds"] for _ in range(3))
    allowed = 15 * least
    for _ in range(5):
        shown = page.evaluate(render, text)
        if shown["milliseconds"] < allowed:
            break
    assert shown["milliseconds"] < allowed, f"{shown['milliseconds']:.0f} ms where plain text takes {least:.1f}"
    if name not in ("prose", "definitions", "references"):  # where they lead is not shown
        assert shown["letters"] == text.count("a"), "some of it is not shown"


def test_a_reply_that_grows_is_drawn_again_at_the_cost_of_its_length(page):
    """A stream draws at most a quarter of the time: it waits three times as long as the last drawing took."""
    text = replies["emphasis"]
    took = [min(page.evaluate(render, text[:size])["milliseconds"] for _ in range(3)) for size in (7_500, 30_000)]
    assert took[1] < 8 * took[0], took
