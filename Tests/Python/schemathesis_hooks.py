"""Who schemathesis is while it tries out the contract, and how strictly answers are held against it.

Read by schemathesis (SCHEMATHESIS_HOOKS), which calls what is here; URL is where the running bin/serve is.
"""
import itertools
import os

import requests
import schemathesis

URL = os.environ["URL"]
# Those that end sessions or accounts; each of their calls has a person of its own.
ENDING = ["logout", "revoke-session", "revoke-other-sessions", "change-password", "delete-me"]
numbers = itertools.count(os.getpid() * 10_000)


def sign_in():
    """The access token of somebody new."""
    mobile = {"mobile": f"+7{next(numbers):012}"}

    def post(path, body):
        answer = requests.post(URL + path, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    post("/auth/signup", mobile)
    otp = post("/auth/send-otp", mobile)["otp"]
    return post("/auth/verify-otp", mobile | {"otp": otp})["token"]


class Person:
    def get(self, case, context):
        return sign_in()

    def set(self, case, token, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}


@schemathesis.auth(refresh_interval=None).apply_to(operation_id=ENDING)
class OneOfMany(Person):
    pass


@schemathesis.auth().skip_for(operation_id=ENDING)
class TheOne(Person):
    pass


@schemathesis.serializer("application/pdf", "image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
def file(context, value):
    return {"data": value.encode() if isinstance(value, str) else value}


@schemathesis.hook
def before_call(context, case, kwargs):
    """What builds on an answer wants one of its own: with the key of an earlier request it gets that one's, whatever became of it."""
    if case.meta and case.meta.phase.name == "stateful" and case.headers:
        case.headers.pop("Idempotency-Key", None)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Answers hold what the contract says and nothing else: a member that it does not tell of is found."""
    def close(node):
        if isinstance(node, list):
            for part in node:
                close(part)
        elif isinstance(node, dict):
            for key, value in node.items():
                # What is in an allOf is a part of the whole.
                if key not in ("allOf", "example", "examples", "links", "headers"):
                    close(value)
            if "#/components/schemas/" in str(node.get("$ref")) or node.get("type") == "object" and "properties" in node:
                node["unevaluatedProperties"] = False

    components = raw_schema["components"]
    close([operation.get("responses") for path in raw_schema["paths"].values() for operation in path.values() if isinstance(operation, dict)])
    close(components["responses"])
    for schema in components["schemas"].values():
        # Each is closed where it is used, and may be a part there.
        close({key: value for key, value in schema.items() if key not in ("type", "$ref")})
