import Common
import Upstream

struct CheckoutSession: Decodable {
    let id: String
    let status: String?
    /// Null once it is over.
    let url: String?
}

struct Made: Decodable { let id: String }

let price = Settings.stripeKey.isEmpty ? "" : Settings.required("STRIPE_PRICE_ID")

extension Payments {
    /// Has Stripe make a customer of the user: one, for whoever asks under the same key. Whose account went meanwhile, or got
    /// another, is deleted there too.
    func makeCustomer(_ progress: Progress, _ caller: Caller, _ database: Database) throws {
        do {
            let made: Made = try call(
                .post, "/v1/customers", [("metadata[user_id]", caller.user.text)], key: "customer-\(progress.attempt)")
            try database.execute(
                """
                with kept as (
                    update stripe_customers set customer = \(made.id)
                    where user_id = \(caller.user) and attempt = \(progress.attempt) returning customer
                )
                select queue_stripe(\(made.id), '{"deletes": true}') where not exists (select from kept)
                """)
        } catch let error as StripeError where error.wantsAnotherKey {
            try database.execute(
                """
                update stripe_customers set attempt = gen_random_uuid()
                where user_id = \(caller.user) and attempt = \(progress.attempt) and customer is null
                """)
            throw error
        }
    }

    /// Has Stripe make a page to pay at: one, for whoever asks under the same key.
    func makeSession(
        _ progress: Progress, _ customer: String, _ caller: Caller, _ database: Database
    ) throws -> CheckoutSession {
        let user = caller.user.text
        do {
            let session: CheckoutSession = try call(
                .post, "/v1/checkout/sessions",
                [
                    ("mode", "subscription"), ("customer", customer), ("line_items[0][price]", price),
                    ("line_items[0][quantity]", "1"), ("client_reference_id", user), ("metadata[user_id]", user),
                    ("metadata[checkout_id]", progress.checkout.text), ("subscription_data[metadata][user_id]", user),
                    ("subscription_data[metadata][checkout_id]", progress.checkout.text),
                    ("success_url", "\(Settings.publicURL)/?subscription=paid&session_id={CHECKOUT_SESSION_ID}"),
                    ("cancel_url", "\(Settings.publicURL)/?subscription=cancelled"),
                ], key: "checkout-\(progress.checkout)")
            try database.execute(
                """
                update checkouts set session = \(session.id)
                where user_id = \(caller.user) and id = \(progress.checkout)
                """)
            return session
        } catch let error as StripeError where error.wantsAnotherKey {
            try progress.forgetCheckout(caller, database)
            throw error
        }
    }

    /// The page where the caller pays. Each turn begins with what the rows say, for others of the same user may be at it at the same
    /// time, and takes one step. Nobody is sent to pay, nor refused, before Stripe was asked what they have: it may know better
    /// than our rows. Only while Stripe does not answer do the rows refuse.
    func page(_ caller: Caller, _ database: Database) throws -> String {
        var hasAsked = false
        for turn in 0..<8 {
            let progress = try Progress(caller, database, counts: turn == 0)
            guard let customer = progress.customer else {
                if let refusal = progress.refusal { throw refusal }
                try makeCustomer(progress, caller, database)
                hasAsked = true
                continue
            }
            do {
                guard hasAsked else {
                    do { try refresh(customer, database) } catch let error as StripeError {
                        throw progress.refusal ?? error
                    }
                    hasAsked = true
                    continue
                }
                if let refusal = progress.refusal { throw refusal }
                if let page = try open(progress, customer, caller, database), let url = page.url {
                    return "{\"checkout_url\":\(JSON.quoted(url)),\"session_id\":\(JSON.quoted(page.id))}"
                }
                try progress.forgetCheckout(caller, database)
                hasAsked = false
            } catch let lost as LostCustomer {
                // Who has paid in another account of Stripe's keeps Pro for as long as they paid.
                if !lost.isDeleted, progress.isPro, let refusal = progress.refusal { throw refusal }
                try progress.forgetCustomer(caller, database)
            }
        }
        throw Problem.stripeUnavailable
    }

    /// The page that was made, or another; nil where it is not open any more, or not in this account of Stripe's.
    private func open(
        _ progress: Progress, _ customer: String, _ caller: Caller, _ database: Database
    ) throws -> CheckoutSession? {
        let page: CheckoutSession
        if let session = progress.session {
            do { page = try call(.get, "/v1/checkout/sessions/\(session)") } catch StripeError.missing { return nil }
        } else {
            page = try with(customer, database) { try makeSession(progress, customer, caller, database) }
        }
        return page.status == "open" ? page : nil
    }
}

serve { request, database, payments in
    let caller = try request.caller()
    try payments.begin()
    let once = try request.once(caller, "subscribe-pro")
    return try once.answer(from: database) {
        try once.holding { try payments.page(caller, database) }
    } as: { page in
        .json(page, status: 201)
    }
}
