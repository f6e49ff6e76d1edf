import Common
import Upstream

/// A page of Stripe's to pay at.
struct CheckoutSession: Decodable {
    let id: String
    let status: String?
    /// Null once it is over.
    let url: String?
}

struct Made: Decodable { let id: String }

/// The way to a page where the caller pays for Pro.
struct Checkout {
    let payments: Payments
    let database: Database
    let price: String
    private var caller: Caller { payments.caller }

    /// The page. Each turn begins with what the rows say, for others of the same user may be at it at the same time, and takes one step.
    /// Nobody is sent to pay, nor refused, before Stripe was asked what they have: it may know better than our rows.
    func page() throws -> String {
        var hasAsked = false
        for turn in 0..<8 {
            let progress = try self.progress(hasAsked: hasAsked, counts: turn == 0)
            guard let customer = progress.customer else {
                try makeCustomer(progress)
                hasAsked = true
                continue
            }
            do {
                guard hasAsked else {
                    try refresh(customer, progress)
                    hasAsked = true
                    continue
                }
                if let page = try open(progress, customer), let url = page.url {
                    return "{\"checkout_url\":\(JSON.quoted(url)),\"session_id\":\(JSON.quoted(page.id))}"
                }
                try keep(page: nil, progress)
                hasAsked = false
            } catch let lost as LostCustomer where !lost.isDeleted {
                // Who has paid in another account of Stripe's keeps Pro for as long as they paid.
                if progress.isPro { throw Problem.alreadyPro }
                try payments.forget(customer)
            } catch is LostCustomer {
                // They are forgotten here too.
            }
        }
        throw Problem.stripeUnavailable
    }

    /// - Parameter counts: whether this begins a request, of which there is a limit.
    private func progress(hasAsked: Bool, counts: Bool) throws -> Progress {
        let perMinute = counts ? RateLimit.billing.perMinute : 0
        let progress: Progress = try database.call("subscribe_pro", caller, perMinute, hasAsked)
        if counts { payments.standing = progress.standing }
        return progress
    }

    /// Asks Stripe what the caller has. Only while it does not answer do the rows refuse.
    private func refresh(_ customer: String, _ progress: Progress) throws {
        do {
            let said = try payments.subscriptions(of: customer)
            let _: Done = try database.call(
                "subscribe_pro_store", caller, customer, progress.asked, said, Settings.stripeGraceDays)
        } catch let error as StripeError {
            _ = try self.progress(hasAsked: true, counts: false)
            throw error
        }
    }

    /// Has Stripe make a customer of the user: one, for whoever asks under the same key.
    private func makeCustomer(_ progress: Progress) throws {
        func keep(_ customer: String?) throws {
            let _: Done = try database.call("subscribe_pro_customer", caller, progress.attempt, customer)
        }
        do {
            let made: Made = try payments.call(
                .post, "/v1/customers", [("metadata[user_id]", caller.user.text)], key: "customer-\(progress.attempt)")
            try keep(made.id)
        } catch let error as StripeError where error.wantsAnotherKey {
            try keep(nil)
            throw error
        }
    }

    /// The page that was made, or another; nil where it is not open any more, or not in this account of Stripe's.
    private func open(_ progress: Progress, _ customer: String) throws -> CheckoutSession? {
        let page: CheckoutSession
        if let session = progress.session {
            do {
                page = try payments.call(.get, "/v1/checkout/sessions/\(session)")
            } catch StripeError.missing {
                return nil
            }
        } else {
            page = try payments.with(customer) { try makePage(progress, customer) }
        }
        return page.status == "open" ? page : nil
    }

    /// Has Stripe make a page: one, for whoever asks under the same key.
    private func makePage(_ progress: Progress, _ customer: String) throws -> CheckoutSession {
        let user = caller.user.text
        do {
            let page: CheckoutSession = try payments.call(
                .post, "/v1/checkout/sessions",
                [
                    ("mode", "subscription"), ("customer", customer), ("line_items[0][price]", price),
                    ("line_items[0][quantity]", "1"), ("client_reference_id", user), ("metadata[user_id]", user),
                    ("metadata[checkout_id]", progress.checkout.text), ("subscription_data[metadata][user_id]", user),
                    ("subscription_data[metadata][checkout_id]", progress.checkout.text),
                    ("success_url", "\(Settings.publicURL)/?subscription=paid&session_id={CHECKOUT_SESSION_ID}"),
                    ("cancel_url", "\(Settings.publicURL)/?subscription=cancelled"),
                ], key: "checkout-\(progress.checkout)")
            try keep(page: page.id, progress)
            return page
        } catch let error as StripeError where error.wantsAnotherKey {
            try keep(page: nil, progress)
            throw error
        }
    }

    /// Keeps the page, or, where there is none to pay at, has another one made by whoever asks next.
    private func keep(page: String?, _ progress: Progress) throws {
        let _: Done = try database.call("subscribe_pro_checkout", caller, progress.checkout, page)
    }
}
