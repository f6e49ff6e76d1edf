#!/usr/bin/env python3
"""Sends the requests of requests.http one after the other, and sees that they are those of the Postman collection.

usage: requests_http.py BASE_URL      (of a running bin/serve)
"""
import json
import re
import sys

import postman
from client import filled, send, shape

TEXT = (postman.ROOT / "requests.http").read_text()


def parse():
    """The file's variables, and each request: its name, method, URL, headers and body (the format of VS Code's REST Client)."""
    variables, requests = {}, []
    for block in re.split(r"(?m)^###.*$", TEXT):
        lines = block.splitlines()
        name = None
        while lines and (not lines[0].strip() or lines[0][0] in "#@"):
            line = lines.pop(0)
            if match := re.fullmatch(r"@(\w+) = (.*)", line):
                variables[match[1]] = match[2]
            elif match := re.fullmatch(r"# @name (\w+)", line):
                name = match[1]
        if not lines:
            continue
        method, url = lines.pop(0).split(" ", 1)
        headers = {}
        while lines and lines[0].strip():
            key, value = lines.pop(0).split(": ", 1)
            headers[key] = value
        body = "\n".join(line for line in lines if not line.startswith("# ")).strip()
        requests.append((name, method, url, headers, body or None))
    return variables, requests


def captured(path, answers):
    """What `name.response.body.$.a.b[1]` or `name.response.headers.X` stands for."""
    name, part, rest = re.fullmatch(r"(\w+)\.response\.(body\.\$|headers)\.(.+)", path).groups()
    if part == "headers":
        return answers[name].header(rest)
    value = json.loads(answers[name].text)
    for step in re.findall(r"\w+", rest):
        value = value[int(step) if step.isdigit() else step]
    return value


def main():
    file_variables, requests = parse()
    values = file_variables | {"base_url": sys.argv[1]}
    collection = list(postman.requests())
    assert len(requests) == len(collection), f"{len(requests)} requests here, {len(collection)} in the collection"
    answers = {}
    for (name, *request), (title, *counterpart, script) in zip(requests, collection):
        assert name == re.sub(r"\W+", "_", title), f"{name} here, {title} in the collection"
        assert shape(*request) == shape(*counterpart), f"{name} is another there:\n{request}\n{counterpart}"
        known = dict(values)
        for variable, value in file_variables.items():
            if match := re.fullmatch(r"\{\{(\w+\.response\..+)\}\}", value):
                known[variable] = captured(match[1], answers) if match[1].split(".")[0] in answers else ""
        method, url, headers, body = request
        answer = send(method, filled(url, known), {k: filled(v, known) for k, v in headers.items()}, body and filled(body, known))
        wanted = int(re.search(r"to\.have\.status\((\d+)\)", "\n".join(script))[1])
        assert answer.status == wanted, f"{name}: {answer.status} and not {wanted}: {answer.text}"
        answers[name] = answer
    print(f"requests.http: {len(requests)} sent")


if __name__ == "__main__":
    main()
