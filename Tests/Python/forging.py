"""What can be forged with the keys of an environment: access tokens, refresh tokens, cursors, links of shares, events of Stripe's."""
import base64
import collections
import hmac
import json
import re
import secrets
import sys
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# What token keys are made into (README.md, TOKEN_KEYS); "" is the key as it is.
LABELS = ("", "access token", "refresh token", "cursor", "share", "one-time password", "limit")


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sha256(key, text):
    return hmac.digest(key, text.encode(), "sha256")


def parts_of(environment):
    """Each value, and what stands between its commas, colons and spaces."""
    return {part for value in environment.values() for part in (value, *re.split(r"[,:\s]", value))}


def texts_in(environment):
    """What may be a key as it is written."""
    return [part.encode() for part in parts_of(environment) if len(part) >= 16]


def keys_in(environment):
    """What stands there in base64 and is as long as a key."""
    keys = set()
    for part in parts_of(environment):
        try:
            keys.add(base64.b64decode(part.translate(str.maketrans("-_", "+/")) + "=" * (-len(part) % 4), validate=True))
        except ValueError:
            continue  # It is something else.
    return [key for key in keys if len(key) >= 32]


def derived(environment):
    """All of these, and the keys that are made of the latter, each with its label."""
    made = [(label, sha256(key, label) if label else key) for key in keys_in(environment) for label in LABELS]
    return made + [("", text) for text in texts_in(environment)]


def kids_in(environment):
    """The names of keys, and of those that are derived from them."""
    kids = {entry.split(":")[0] for entry in environment.get("TOKEN_KEYS", "").split(",")} - {""} or {"1"}
    roots = {kid.removesuffix(".access") for kid in kids}
    return sorted(kids | roots | {f"{kid}.access" for kid in roots})


def access_tokens(environment, victim):
    """Tokens of the victim's living session, each with how it was made."""
    now = int(time.time())
    site = "gemini-chat-backend"
    claims = {"iss": site, "aud": site, "sub": victim.id, "sid": victim.session, "iat": now, "exp": now + 900}
    payload = encoded(json.dumps(claims).encode())
    yield "none", encoded(b'{"alg":"none","typ":"at+jwt"}') + f".{payload}."
    for kid in kids_in(environment):
        for label, key in derived(environment):
            for algorithm in ("HS256", "EdDSA") if len(key) == 32 else ("HS256",):
                message = encoded(f'{{"alg":"{algorithm}","kid":"{kid}","typ":"at+jwt"}}'.encode()) + f".{payload}"
                if algorithm == "HS256":
                    signature = sha256(key, message)
                else:
                    signature = Ed25519PrivateKey.from_private_bytes(key).sign(message.encode())
                yield f"{algorithm} {label}".strip(), f"{message}.{encoded(signature)}"


def refresh_token(key, victim):
    """That of a session that has not been refreshed."""
    secret = encoded(sha256(key, f"{victim.session}|0"))
    return f"{victim.id}.{victim.session}.0.{secret}"


def cursor(key, victim):
    """A place in the list of the victim's rooms."""
    place = f"1 true 1 {victim.room}"
    return encoded(sha256(key, f"{victim.id} chatrooms\n{place}")[:16] + place.encode())


def share(key, victim):
    return encoded(sha256(key, f"{victim.id}|{victim.share}"))


def event(customer):
    """What Stripe would send of a customer."""
    subscription = {"id": "sub_1", "object": "subscription", "customer": customer}
    return json.dumps({
        "id": f"evt_{secrets.token_hex(12)}", "object": "event", "type": "customer.subscription.updated", "api_version": "2026-01-01",
        "created": int(time.time()), "livemode": False, "data": {"object": subscription},
    })


def signature(key, body):
    now = int(time.time())
    return f"t={now},v1={sha256(key, f'{now}.{body}').hex()}"


def forge(site, environment, victim):
    """Tries all of it. What was taken, by its kind, with how it was made; and how many were tried.

    Another refusal than the one that is meant ends the test.
    """
    taken, tried = collections.defaultdict(set), 0

    def attempt(kind, how, refusal, method, path, *arguments, **headers):
        nonlocal tried
        tried += 1
        status, answer = site.ask(method, path, *arguments, **headers)
        if 200 <= status < 300:
            taken[kind].add(how)
        elif (status, answer["code"]) != refusal:
            sys.exit(f"takeover: a forged {kind} ({how}) gave {status}: {answer}")

    for how, token in access_tokens(environment, victim):
        attempt("token", how, (401, "token_invalid"), "GET", "/user/me", token)
    for label, key in derived(environment):
        attempt("cursor", label, (422, "invalid"), "GET", f"/chatroom?cursor={cursor(key, victim)}", victim.token)
        attempt("refresh", label, (401, "refresh_invalid"), "POST", "/auth/refresh", None, {"refresh_token": refresh_token(key, victim)})
        attempt("share", label, (404, "not_found"), "GET", f"/shared/{share(key, victim)}")
    for key in texts_in(environment) + keys_in(environment):
        body = event(victim.customer)
        attempt("event", "", (400, "signature_invalid"), "POST", "/webhook/stripe", None, body, Stripe_Signature=signature(key, body))
    return taken, tried
