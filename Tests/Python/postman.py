#!/usr/bin/env python3
"""Runs the Postman collection as it is written, in its order, its scripts in a JavaScript engine.

usage: postman.py BASE_URL      (of a running bin/serve; needs quickjs and PyYAML)
"""
import json
import pathlib
import sys

import quickjs
import yaml

from client import filled, send

ROOT = pathlib.Path(__file__).parents[2]
COLLECTION = ROOT / "postman" / "gemini-chat-backend.postman_collection.json"
SANDBOX = (pathlib.Path(__file__).parent / "pm.js").read_text()


def requests():
    """Each request of the collection: its name, method, URL, headers, body and test script."""
    collection = json.loads(COLLECTION.read_text())
    for folder in collection["item"]:
        for item in folder["item"]:
            request = item["request"]
            url = request["url"]
            query = "&".join(f"{pair['key']}={pair['value']}" for pair in url.get("query", []))
            assert url["raw"] == "/".join(url["host"] + url["path"]) + (f"?{query}" if query else ""), url
            headers = {header["key"]: header["value"] for header in request["header"]}
            auth = request.get("auth", collection["auth"])
            if auth["type"] == "bearer":
                headers["Authorization"] = f"Bearer {auth['bearer'][0]['value']}"
            [event] = [event for event in item["event"] if event["listen"] == "test"]
            yield item["name"], request["method"], url["raw"], headers, request.get("body", {}).get("raw"), event["script"]["exec"]


def variables():
    return {variable["key"]: variable["value"] for variable in json.loads(COLLECTION.read_text())["variable"]}


def run(script, answer, values):
    """What the tests of a script say of an answer, and the variables as it leaves them."""
    context = quickjs.Context()
    given = {"status": answer.status, "headers": json.dumps(answer.headers), "text": answer.text}
    prelude = f"const answer = {json.dumps(given)}, variables = {json.dumps(values)}, tests = [];"
    # A block, for what the script declares is its own.
    context.eval("\n".join([prelude, SANDBOX, "{", *script, "}"]))
    return json.loads(context.eval("JSON.stringify(tests)")), json.loads(context.eval("JSON.stringify(variables)"))


def endpoints():
    """The endpoints of the contract."""
    paths = yaml.safe_load((ROOT / "openapi.yaml").read_text())["paths"]
    ids = {operation["operationId"] for path in paths.values() for operation in path.values() if isinstance(operation, dict)}
    return {name.removesuffix("-alias") for name in ids}


def main():
    missing = endpoints() - {name.split(" ")[0] for name, *_ in requests()}
    assert not missing, f"without a request: {missing}"
    values = variables() | {"base_url": sys.argv[1]}
    count = failures = 0
    for name, method, url, headers, body, script in requests():
        answer = send(method, filled(url, values), {k: filled(v, values) for k, v in headers.items()}, body and filled(body, values))
        tests, values = run(script, answer, values)
        assert tests, f"{name} has no test"
        for test in tests:
            count += 1
            if test["reason"]:
                failures += 1
                print(f"{name}: {test['name']}: {test['reason']}")
    print(f"postman: {count - failures} passed, {failures} failed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
