import Common

serve { request, database in
    if Settings.stripeWebhookSecrets.isEmpty || Settings.stripeKey.isEmpty { throw Problem.paymentsOff }
    let signature = StripeSignature(request.header("STRIPE_SIGNATURE") ?? "")
    guard signature.holds(for: request.body, secrets: Settings.stripeWebhookSecrets) else {
        Log.notice("webhook without a signature of Stripe's", ["request_id": request.id])
        throw Problem(400, "signature_invalid", "This is not signed by Stripe, or not lately.")
    }
    // Version 2 of the API has thin events, of another form.
    guard let event = try? JSON.decode(Event.self, request.body), event.object == "event" else {
        Log.error("webhook with what is no event of API v1", ["request_id": request.id])
        throw Problem(400, "event_unknown", "This is not an event of Stripe's API v1.")
    }
    guard event.livemode == Settings.stripeIsLive else {
        Log.error(
            "an event of Stripe's other mode was refused",
            ["request_id": request.id, "event": event.id, "livemode": String(event.livemode)])
        throw Problem(400, "livemode_mismatch", "This event is of the other mode, live or test, than the key here.")
    }
    let _: Done = try database.call(
        "stripe_webhook", event.id, event.type, event.data.object.customer, event.apiVersion, event.created.seconds)
    Doorbell.bell.ring()
    return .json("{\"received\":true}")
}
