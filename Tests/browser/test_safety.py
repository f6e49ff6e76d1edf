"""A reply is a stranger's text: nothing in it runs, and nothing is loaded for it."""

import pytest
from playwright.sync_api import expect

attacks = {
    "script": "<script>alert(1)</script><script src='https://example.com/x.js'></script>",
    "handlers": "<img src=x onerror=alert(1)> <body onload=alert(1)> <details open ontoggle=alert(1)>x</details>",
    "link": "[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](java&#10;script:alert(1)) [d](&#106;avascript:alert(1)) <javascript:alert(1)>",
    "data": "[a](data:text/html,<script>alert(1)</script>) [b](vbscript:msgbox(1)) ![c](data:image/svg+xml,<svg/onload=alert(1)>) [d](blob:x)",
    "picture": "![x](https://example.com/leak.png?secret) ![y](javascript:alert(1)) ![z\" onerror=\"alert(1)](x)",
    "svg": "<svg onload=alert(1)><script>alert(1)</script><a xlink:href='javascript:alert(1)'><text>x</text></a></svg><math><mtext></mtext></math>",
    "frame": "<iframe srcdoc='<script>alert(1)</script>'></iframe><object data='javascript:alert(1)'></object><embed src='/'>",
    "form": "<form action='https://example.com'><input name=password autofocus onfocus=alert(1)><button formaction='javascript:alert(1)'>x</button></form>",
    "style": "<style>@import 'https://example.com/x.css';</style><link rel=stylesheet href='https://example.com/x.css'><base href='https://example.com/'>",
    "clobbering": "<a id=localStorage></a><form id=root><input name=session></form><img name=cookie>",
    "broken": "```js\"><img src=x onerror=alert(1)>\nalert(1)\n\n| a | <b onclick=alert(1) |\n|---|\n| [x](<javascript:alert(1)> \"' onmouseover='alert(1)\") |\n\n> - <!-- <script>alert(1)//",
    "reference": "[x][1] [y]\n\n[1]: javascript:alert(1) 'x\" onclick=\"alert(1)'\n[y]: <data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==>",
    "nesting": "[" * 500 + "x" + "](y)" * 500 + "\n\n" + "> " * 300 + "deep\n\n" + "*" * 2000,
    "language": "```<script>alert(1)</script>\nx\n```\n\n```constructor\nx\n```\n\n```__proto__\nx\n```",
}
allowed = {"p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "div", "pre", "code", "table", "thead", "tbody", "tr", "th", "td", "hr",
           "strong", "em", "del", "br", "a", "span", "input", "button", "svg", "path"}


@pytest.mark.parametrize("device", ["desktop"])
def test_nothing_of_a_reply_runs(person):
    asked = []
    person.page.on("request", lambda request: asked.append(request.url))
    for name, attack in attacks.items():
        body = person.asks(f"[sandbox:say] {attack}").locator(".body")
        expect(body).not_to_be_empty()
        for element in body.evaluate("""body => [...body.querySelectorAll('*')].map(element => ({
                name: element.localName, attributes: element.getAttributeNames(), href: element.href ?? '' }))"""):
            assert element["name"] in allowed, (name, element)
            assert not any(a.startswith("on") or a in ("style", "src", "id") for a in element["attributes"]), (name, element)
            assert element["name"] != "a" or element["href"].startswith(("https:", "http:", "mailto:")), (name, element)
        for link in body.get_by_role("link").all():
            assert link.get_attribute("rel") == "noopener noreferrer nofollow"
    assert all(url.startswith(person.url) for url in asked), asked
    assert person.page.evaluate("localStorage.getItem('session') !== null")


@pytest.mark.parametrize("device", ["desktop"])
def test_the_policy_forbids_what_the_page_does_not_do(person):
    policy = person.page.request.get(person.url).headers["content-security-policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    refused = person.page.evaluate("""() => {
        const tries = { html: () => { document.body.innerHTML = '<b>x</b>'; }, timer: () => setTimeout('1'),
            script: () => { document.createElement('script').src = '/x.js'; } };
        return Object.keys(tries).filter((name) => { try { tries[name](); return false; } catch { return true; } });
    }""")
    assert refused == ["html", "timer", "script"]
    assert len(person.complaints) == 3 and all("requires 'Trusted" in text for text in person.complaints)
    person.complaints.clear()
