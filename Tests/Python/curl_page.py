#!/usr/bin/env python3
"""Runs docs/curl.md as it is printed, all of it in one bash, and compares what each part prints.

usage: curl_page.py BASE_URL      (of a running bin/serve)
"""
import os
import pathlib
import re
import subprocess
import sys

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "curl.md").read_text()
END = "-- the end of this part --"


def parts():
    """Each part that is run, and what it is said to print."""
    blocks = re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", PAGE)
    for (kind, text), (next_kind, next_text) in zip(blocks, blocks[1:] + [("", "")]):
        assert kind in ("sh", "text"), kind
        if kind == "sh":
            yield text, next_text if next_kind == "text" else ""


def main():
    page = list(parts())
    assert len(page) > 8
    script = "".join(f"{text}echo '{END}'\n" for text, _ in page)
    run = subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=os.environ | {"URL": sys.argv[1]},
                         capture_output=True, text=True, timeout=300)
    outputs = run.stdout.split(f"{END}\n")
    for (text, wanted), output in zip(page, outputs):
        pattern = ".*?".join(map(re.escape, wanted.strip().split("…")))
        assert re.fullmatch(pattern, output.strip(), re.DOTALL), f"{text}\nprinted\n{output}\nand not\n{wanted}"
    assert run.returncode == 0 and len(outputs) == len(page) + 1, f"it ended with {run.returncode}: {run.stderr}"
    print(f"docs/curl.md: {len(page)} parts run")


if __name__ == "__main__":
    main()
