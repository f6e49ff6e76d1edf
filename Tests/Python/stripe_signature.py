#!/usr/bin/env python3
"""Checks a webhook's signature with Stripe's own package, and prints the one that the package makes.

usage: stripe_signature.py BODY_FILE SECRET HEADER
"""
import sys

import stripe

body = open(sys.argv[1], "rb").read()
secret, header = sys.argv[2], sys.argv[3]
event = stripe.Webhook.construct_event(body, header, secret)
assert event.id.startswith("evt_"), event
try:
    stripe.Webhook.construct_event(body + b" ", header, secret)
    raise AssertionError("an altered body was taken")
except stripe.SignatureVerificationError:
    pass
print(stripe.WebhookSignature.generate_signature_header(body.decode(), secret))
