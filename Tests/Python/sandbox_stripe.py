#!/usr/bin/env python3
"""Checks the sandbox Stripe with Stripe's own package, so that what passes against it speaks the real protocol.

usage: sandbox_stripe.py BASE_URL      (of a running sandbox-stripe with --period 600; needs stripe 16)
"""
import http.server
import json
import queue
import sys
import threading
import time
import urllib.parse
import urllib.request

import stripe

BASE = sys.argv[1].rstrip("/")
PRICE = "price_sandbox_pro"
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def client(key="sk_test_of_python", **options):
    return stripe.StripeClient(key, base_addresses={"api": BASE}, **options)


API = client()


def post(path, /, **form):
    """Presses a button of a page, or asks something of the sandbox itself; where it leads to and what it says."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    body = urllib.parse.urlencode(form).encode()
    try:
        answer = urllib.request.build_opener(Stay).open(urllib.request.Request(BASE + path, body))
        return None, answer.read().decode()
    except urllib.error.HTTPError as error:
        assert error.code == 303, (error.code, error.read())
        return error.headers["Location"], ""


def page(url):
    return urllib.parse.urlsplit(url).path


def customer():
    return API.v1.customers.create({"metadata": {"user_id": "u1"}})


def session(of, **more):
    return API.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": of,
            "line_items": [{"price": PRICE, "quantity": 1}],
            "client_reference_id": "u1",
            "metadata": {"a": "1"},
            "subscription_data": {"metadata": {"b": "2"}},
            "success_url": "http://here/?id={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://here/cancelled",
            **more,
        }
    )


def bought():
    made = session(customer().id)
    post(page(made.url), action="pay")
    return API.v1.subscriptions.retrieve(API.v1.checkout.sessions.retrieve(made.id).subscription)


def failure(call, kind):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


@check
def customers_come_and_go():
    made = customer()
    assert made.id.startswith("cus_") and made.metadata["user_id"] == "u1" and made.livemode is False
    API.v1.customers.update(made.id, {"email": "a@b.example", "metadata": {"user_id": "", "x": "y"}})
    found = API.v1.customers.retrieve(made.id)
    assert found.email == "a@b.example" and found.metadata.to_dict() == {"x": "y"}, found
    assert made.id in [c.id for c in API.v1.customers.list({"limit": 100}).data]
    assert API.v1.customers.delete(made.id).deleted is True
    assert API.v1.customers.retrieve(made.id).deleted is True
    assert failure(lambda: API.v1.customers.delete(made.id), stripe.InvalidRequestError).code == "resource_missing"


@check
def a_session_is_paid():
    made = session(customer().id)
    assert made.status == "open" and made.payment_status == "unpaid" and made.subscription is None
    assert made.url.startswith("http") and made.metadata["a"] == "1" and made.client_reference_id == "u1"
    html = urllib.request.urlopen(BASE + page(made.url)).read().decode()
    assert "<script" not in html and 'value="pay"' in html
    where, _ = post(page(made.url), action="pay")
    assert where == f"http://here/?id={made.id}", where
    paid = API.v1.checkout.sessions.retrieve(made.id)
    assert paid.status == "complete" and paid.payment_status == "paid" and paid.url is None
    got = API.v1.subscriptions.retrieve(paid.subscription)
    assert got.status == "active" and got.metadata.to_dict() == {"b": "2"} and got.customer == made.customer
    assert got["items"].data[0].current_period_end - got["items"].data[0].current_period_start == 600
    assert got["items"].data[0].price.id == PRICE and "current_period_end" not in got


@check
def a_session_is_left_or_expires():
    made = session(customer().id)
    assert post(page(made.url), action="cancel")[0] == "http://here/cancelled"
    assert API.v1.checkout.sessions.retrieve(made.id).status == "open"
    assert API.v1.checkout.sessions.expire(made.id).status == "expired"
    failure(lambda: API.v1.checkout.sessions.expire(made.id), stripe.InvalidRequestError)
    assert "expired" in post(page(made.url), action="pay")[1]
    assert API.v1.subscriptions.list({"customer": made.customer, "status": "all"}).data == []


@check
def the_portal_cancels_by_a_time_and_resumes():
    got = bought()
    portal = API.v1.billing_portal.sessions.create({"customer": got.customer, "return_url": "http://here/"})
    post(page(portal.url), action="cancel", subscription=got.id)
    ended = API.v1.subscriptions.retrieve(got.id)
    assert ended.cancel_at == ended["items"].data[0].current_period_end and ended.cancel_at_period_end is False
    post(page(portal.url), action="resume", subscription=got.id)
    assert API.v1.subscriptions.retrieve(got.id).cancel_at is None


@check
def the_flag_cancels_too():
    got = bought()
    ended = API.v1.subscriptions.update(got.id, {"cancel_at_period_end": True})
    assert ended.cancel_at_period_end is True and ended.cancel_at == ended["items"].data[0].current_period_end
    assert API.v1.subscriptions.update(got.id, {"cancel_at_period_end": False}).cancel_at is None
    failure(
        lambda: API.v1.subscriptions.update(got.id, {"cancel_at_period_end": True, "cancel_at": 1}),
        stripe.InvalidRequestError,
    )
    assert API.v1.subscriptions.cancel(got.id).status == "canceled"
    assert failure(lambda: API.v1.subscriptions.cancel(got.id), stripe.InvalidRequestError).http_status == 404


@check
def time_renews_and_ends():
    renewed, ended = bought(), bought()
    API.v1.subscriptions.update(ended.id, {"cancel_at_period_end": True})
    post("/sandbox/advance", seconds=601)
    after = API.v1.subscriptions.retrieve(renewed.id)
    assert after["items"].data[0].current_period_start > renewed["items"].data[0].current_period_start
    over = API.v1.subscriptions.retrieve(ended.id)
    assert over.status == "canceled" and over.ended_at == ended["items"].data[0].current_period_end
    post(f"/sandbox/subscriptions/{renewed.id}", fails="true", renew="1")
    due = API.v1.subscriptions.retrieve(renewed.id, {"expand": ["latest_invoice"]})
    assert due.status == "past_due" and due.latest_invoice.status == "open"


@check
def each_unpaid_period_has_an_invoice_of_its_own():
    got = bought()
    for _ in range(2):
        post(f"/sandbox/subscriptions/{got.id}", fails="true", renew="1")
    due = API.v1.subscriptions.retrieve(got.id, {"expand": ["latest_invoice"]})
    invoices = API.v1.invoices.list({"subscription": got.id}).data
    assert due.status == "past_due" and [i.status for i in invoices] == ["open", "open", "paid"]
    assert due.latest_invoice.id == invoices[0].id
    post(f"/sandbox/subscriptions/{got.id}", settle="1")
    assert {i.status for i in API.v1.invoices.list({"subscription": got.id}).data} == {"paid"}


@check
def collection_is_paused_and_resumed():
    got = bought()
    assert got.pause_collection is None
    form = {"pause_collection": {"behavior": "void", "resumes_at": 2_000_000_000}}
    paused = API.v1.subscriptions.update(got.id, form)
    assert paused.status == "active" and paused.pause_collection.behavior == "void"
    assert paused.pause_collection.resumes_at == 2_000_000_000
    failure(
        lambda: API.v1.subscriptions.update(got.id, {"pause_collection": {"behavior": "nonsense"}}),
        stripe.InvalidRequestError,
    )
    assert API.v1.subscriptions.update(got.id, {"pause_collection": ""}).pause_collection is None


@check
def a_trial_without_a_payment_method_is_paused_until_there_is_one():
    got = bought()
    failure(lambda: API.v1.subscriptions.resume(got.id), stripe.InvalidRequestError)
    post(f"/sandbox/subscriptions/{got.id}", status="paused", fails="true")
    assert API.v1.subscriptions.resume(got.id).status == "paused"
    portal = API.v1.billing_portal.sessions.create({"customer": got.customer, "return_url": "http://here/"})
    post(page(portal.url), action="card", subscription=got.id)
    assert API.v1.subscriptions.resume(got.id).status == "active"


@check
def a_lost_customer_is_not_found():
    deleted, hidden, elsewhere = customer(), customer(), bought()
    API.v1.customers.delete(deleted.id)
    assert API.v1.subscriptions.list({"customer": deleted.id, "status": "all"}).data == []
    post(f"/sandbox/customers/{hidden.id}", hides_lists="true")
    API.v1.customers.delete(hidden.id)
    post(f"/sandbox/customers/{elsewhere.customer}", vanish="1")
    for of in (hidden.id, elsewhere.customer):
        for call in (
            lambda: API.v1.subscriptions.list({"customer": of}),
            lambda: API.v1.invoices.list({"customer": of}),
            lambda: API.v1.billing_portal.sessions.create({"customer": of, "return_url": "http://here/"}),
        ):
            error = failure(call, stripe.InvalidRequestError)
            assert error.code == "resource_missing" and error.param == "customer" and error.http_status == 400
    assert API.v1.customers.retrieve(hidden.id).deleted is True
    assert failure(lambda: API.v1.customers.retrieve(elsewhere.customer), stripe.InvalidRequestError).http_status == 404
    assert failure(lambda: API.v1.subscriptions.retrieve(elsewhere.id), stripe.InvalidRequestError).http_status == 404


@check
def invoices_name_their_subscription_by_the_version():
    got = bought()
    new = API.v1.invoices.list({"customer": got.customer}).data[0]
    assert new.parent.subscription_details.subscription == got.id and new.status == "paid" and new.total == 900
    old = API.v1.invoices.list({"customer": got.customer}, {"stripe_version": "2024-06-20"}).data[0]
    assert old["subscription"] == got.id
    older = API.v1.subscriptions.retrieve(got.id, {}, {"stripe_version": "2024-06-20"})
    assert older["current_period_end"] > older["current_period_start"]
    assert "current_period_end" not in older["items"].data[0]


@check
def lists_come_in_pages():
    of = customer().id
    made = [API.v1.subscriptions.create({"customer": of, "items": [{"price": PRICE}]}).id for _ in range(7)]
    first = API.v1.subscriptions.list({"customer": of, "status": "all", "limit": 3})
    assert first.has_more and [s.id for s in first.data] == made[:-4:-1]
    all_of_them = [s.id for s in first.auto_paging_iter()]
    assert all_of_them == made[::-1]
    expanded = API.v1.subscriptions.list({"customer": of, "expand": ["data.latest_invoice"]}).data[0]
    assert expanded.latest_invoice.status == "paid"
    error = failure(lambda: API.v1.subscriptions.list({"customer": "cus_x"}), stripe.InvalidRequestError)
    assert error.code == "resource_missing" and error.param == "customer" and error.http_status == 400


def asked_under(key):
    """Whether a request under this key has come in."""
    requests = json.load(urllib.request.urlopen(BASE + "/sandbox/requests"))
    return any(request["headers"].get("idempotency-key") == key for request in requests)


@check
def a_key_gives_the_same_answer_again():
    def create(key, name="n"):
        return API.v1.customers.create({"name": name}, {"idempotency_key": key})

    first = create("k1")
    assert create("k1").id == first.id and create("k2").id != first.id
    assert failure(lambda: create("k1", "other"), stripe.IdempotencyError).http_status == 400
    patient = client(max_network_retries=0)
    post("/sandbox/faults", kind="error", path="/v1/customers")
    for _ in range(2):  # the second time it is the first one's answer
        error = failure(
            lambda: patient.v1.customers.create({}, {"idempotency_key": "k3"}), stripe.APIError
        )
        assert error.http_status == 500
    # What was refused before anything was done is not kept.
    failure(lambda: session("cus_x"), stripe.InvalidRequestError)
    for of in ("cus_x", customer().id):
        call = {"customer": of, "items": [{"price": PRICE}]}
        if of == "cus_x":
            failure(lambda: API.v1.subscriptions.create(call, {"idempotency_key": "k4"}), stripe.InvalidRequestError)
        else:
            assert API.v1.subscriptions.create(call, {"idempotency_key": "k4"}).status == "active"
    # Two at once: one runs while the other comes. Where the other was quicker all the same, again.
    error = None
    for key in (f"k5 {attempt}" for attempt in range(10)):
        post("/sandbox/faults", kind="slow", path="/v1/customers", ms=2000)
        running = threading.Thread(target=lambda: create(key))
        running.start()
        while not asked_under(key):
            time.sleep(0.01)
        try:
            patient.v1.customers.create({"name": "n"}, {"idempotency_key": key})
        except stripe.StripeError as raised:
            error = raised
        running.join()
        if error:
            break
    assert error.http_status == 409 and error.json_body["error"]["code"] == "idempotency_key_in_use"


@check
def an_answer_that_is_lost_is_found_by_its_key():
    patient = client(max_network_retries=2)
    before = len(API.v1.customers.list({"limit": 100}).data)
    post("/sandbox/faults", kind="lost", path="/v1/customers", times=1)
    patient.v1.customers.create({"name": "lost"})
    assert len(API.v1.customers.list({"limit": 100}).data) == before + 1


@check
def what_is_wrong_is_refused_as_stripe_does():
    assert failure(lambda: client("sk_live_x").v1.customers.list(), stripe.AuthenticationError).http_status == 401
    error = failure(lambda: API.v1.customers.create({"nonsense": "x"}), stripe.InvalidRequestError)
    assert error.code == "parameter_unknown" and error.param == "nonsense"
    error = failure(lambda: session(customer().id, line_items=[{"price": "p", "quantity": 1}]), stripe.InvalidRequestError)
    assert error.param == "line_items[0][price]" and error.code == "resource_missing"
    assert error.headers["request-id"].startswith("req_")
    assert failure(lambda: API.v1.subscriptions.retrieve("sub_x"), stripe.InvalidRequestError).http_status == 404
    post("/sandbox/faults", kind="busy")
    assert failure(lambda: API.v1.customers.list(), stripe.RateLimitError).http_status == 429


@check
def events_are_signed_and_sent_until_they_are_taken():
    came = queue.Queue()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.put((body, self.headers["Stripe-Signature"]))
            self.send_response(500 if came.qsize() == 1 else 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    post("/sandbox/webhooks", url=f"http://127.0.0.1:{server.server_port}/", secret="whsec_python")
    got = bought()
    kinds, ids = set(), []
    wanted = {
        "customer.created", "customer.subscription.created", "invoice.paid", "checkout.session.completed",
    }
    deadline = time.time() + 120
    while time.time() < deadline and not (wanted <= kinds and len(ids) > len(set(ids))):
        try:
            body, header = came.get(timeout=0.2)
        except queue.Empty:
            continue
        event = stripe.Webhook.construct_event(body, header, "whsec_python")
        assert event.api_version == stripe.api_version and event.livemode is False
        kinds.add(event.type)
        ids.append(event.id)
    assert wanted <= kinds, kinds
    assert len(ids) > len(set(ids)), "what was answered with 500 came again"
    assert got.status == "active"
    server.shutdown()


def main():
    failed = 0
    for function in CHECKS:
        try:
            function()
            print(f"ok {function.__name__}")
        except Exception as error:  # each of them is told, and the rest goes on
            failed += 1
            print(f"FAILED {function.__name__}: {type(error).__name__} {error}")
            import traceback

            traceback.print_exc()
    sys.exit(failed > 0)


main()
