import Common

/// What is looked at of an event. Which customer it is about, that is all: what has happened Stripe is asked itself.
struct Event: Decodable {
    let id: String
    let object: String
    let type: String
    let apiVersion: String?
    let created: UnixTime
    let livemode: Bool
    let data: Payload

    enum CodingKeys: String, CodingKey {
        case id, object, type, created, livemode, data
        case apiVersion = "api_version"
    }

    struct Payload: Decodable { let object: Object }

    /// A customer, or something that names one, by its id or whole.
    struct Object: Decodable {
        let customer: String?

        enum CodingKeys: String, CodingKey { case id, object, customer }

        init(from decoder: any Decoder) throws {
            let object = try decoder.container(keyedBy: CodingKeys.self)
            if try object.decodeIfPresent(String.self, forKey: .object) == "customer" {
                customer = try object.decode(String.self, forKey: .id)
            } else if let id = try? object.decodeIfPresent(String.self, forKey: .customer) {
                customer = id
            } else {
                customer = try? object.nestedContainer(keyedBy: CodingKeys.self, forKey: .customer)
                    .decode(String.self, forKey: .id)
            }
        }
    }
}

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
    try database.execute(
        """
        with known as (
            select customer from stripe_customers where customer = \(event.data.object.customer)
        ), kept as (
            insert into stripe_events (id, type, customer, api_version, created_at)
            values (\(event.id), \(event.type), (select customer from known), \(event.apiVersion),
                to_timestamp(\(event.created.seconds)::float8))
            on conflict (id) do nothing returning customer
        )
        select queue_stripe(customer) from kept where customer is not null
        """)
    Doorbell.bell.ring()
    return .json("{\"received\":true}")
}
