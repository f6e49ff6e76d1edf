"""What the runners of the Postman collection and of requests.http share."""
import http.client
import re
import time
import urllib.parse


class Answer:
    """An HTTP answer: its status, headers and text."""

    def __init__(self, response):
        self.status = response.status
        self.headers = dict(response.getheaders())
        self.text = response.read().decode()

    def header(self, name):
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)


def send(method, url, headers, body):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    connection.request(method, target, body=None if body is None else body.encode(), headers=headers)
    try:
        return Answer(connection.getresponse())
    finally:
        connection.close()


def filled(text, variables):
    """The text with each {{name}} replaced; one that nobody has set is an error."""
    def value(match):
        name = match[1].strip()
        if name == "$timestamp":
            return str(int(time.time()))
        if not variables.get(name):
            raise KeyError(f"{{{{{name}}}}} has no value")
        return filled(variables[name], variables)
    return re.sub(r"\{\{(.*?)\}\}", value, text)


def shape(method, url, headers, body):
    """A request without what its variables are called, to be compared."""
    return re.sub(r"\{\{(?!\$).*?\}\}", "{{}}", repr((method, url, sorted(headers.items()), (body or "").strip())))
