#!/usr/bin/env python3
"""Opens /docs in Chromium: it shows every operation of the contract and tries one out, and the browser has nothing to object to.

usage: docs_page.py BASE_URL [SCREENSHOT]      (of a running bin/serve; needs playwright and Debian's chromium)
"""
import sys

import yaml
from playwright.sync_api import sync_playwright

url = sys.argv[1]
METHODS = {"get", "post", "put", "patch", "delete"}


def main():
    objections = []
    with sync_playwright() as playwright:
        # Chromium's own sandbox refuses root.
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 1400})
        # Violations of the Content-Security-Policy come to the console too.
        page.on("console", lambda message: objections.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: objections.append(str(error)))
        page.on("request", lambda request: objections.append(request.url) if not request.url.startswith((url, "data:")) else None)
        page.goto(f"{url}/docs")
        page.wait_for_selector(".opblock", timeout=120_000)
        contract = yaml.safe_load(page.request.get(f"{url}/openapi.yaml").text())
        operations = [o["operationId"] for path in contract["paths"].values() for m, o in path.items() if m in METHODS]
        shown = page.locator(".opblock-summary-operation-id").all_inner_texts()
        assert sorted(shown) == sorted(operations), set(shown) ^ set(operations)

        page.locator("#operations-Operation-health .opblock-summary-control").click()
        health = page.locator("#operations-Operation-health")
        health.get_by_role("button", name="Try it out").click()
        health.get_by_role("button", name="Execute").click()
        health.locator(".live-responses-table .response-col_status", has_text="200").wait_for(timeout=120_000)
        if len(sys.argv) > 2:
            page.screenshot(path=sys.argv[2])
        browser.close()
    assert not objections, objections
    print(f"docs: {len(operations)} operations shown")


if __name__ == "__main__":
    main()
