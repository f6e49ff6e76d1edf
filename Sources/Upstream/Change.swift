import Common

/// A subscription of the caller's that goes on, as our rows have it.
private struct Running: Decodable {
    let customer: String
    let id: String
    /// Whether it is to end; and, of those, whether because that was said of its period and not of a time.
    let isToEnd: Bool
    let endsWithPeriod: Bool
    /// Whether it is paused as a whole (status `paused`), so that it bills nothing until it is resumed.
    let isPaused: Bool
    let standing: Standing?

    enum CodingKeys: String, CodingKey {
        case customer, id, standing
        case isToEnd = "is_to_end"
        case endsWithPeriod = "ends_with_period"
        case isPaused = "is_paused"
    }
}

private struct Asked: Decodable { let asked: String }

/// What has come of a change.
private struct Changed: Decodable {
    /// How the caller's subscription stands.
    let json: String
    /// Whether all is as was asked.
    let isDone: Bool

    enum CodingKeys: String, CodingKey {
        case json
        case isDone = "is_done"
    }
}

/// Serves an endpoint that has all subscriptions of the caller's that go on end with their period, or not end any more and not be paused;
/// 409 where there is none, and where all stay paused. What Stripe then says of them is stored, and judged: it may know better than our
/// rows did.
/// - Parameters:
///   - begin: the endpoint's function that gives those subscriptions.
///   - asking: the one that says when Stripe is asked about them, by Postgres's clock.
///   - end: the one that stores and judges what Stripe said.
public func serveChange(
    toEnd: Bool, begin: StaticString, asking: StaticString, end: StaticString, forgetting: StaticString
) -> Never {
    serve(forgetting: forgetting) { _, database, payments in
        try payments.begin()
        let running: [Running] = try database.callAll(begin, payments.caller, RateLimit.billing.perMinute)
        guard let first = running.first else { throw Problem.noSubscription }
        payments.standing = first.standing
        let refusal = try payments.change(running, toEnd: toEnd)
        let asked: Asked = try database.call(asking)
        let said = try payments.subscriptions(of: first.customer)
        let changed: Changed = try database.call(
            end, payments.caller, first.customer, asked.asked, said, Settings.stripeGraceDays, Subscription.notices)
        if !changed.isDone, let refusal { throw refusal }
        return .json(changed.json)
    }
}

extension Payments {
    /// Has Stripe change them; why it did not, of the last one that it refused.
    fileprivate func change(_ running: [Running], toEnd: Bool) throws -> StripeError? {
        var refusal: StripeError?
        func ask(_ path: String, _ form: [(String, String)]) throws {
            do {
                let _: StripeSubscription = try call(.post, path, form)
            } catch let error as StripeError where error.wantsAnotherKey {
                refusal = error
            }
        }
        for subscription in running where subscription.isPaused && !toEnd {
            try ask("/v1/subscriptions/\(subscription.id)/resume", [])
        }
        for subscription in running where subscription.isToEnd != toEnd {
            // One that is to end is so by a flag or by a time, as the way it was cancelled has it.
            let form =
                toEnd || subscription.endsWithPeriod
                ? ("cancel_at_period_end", toEnd ? "true" : "false") : ("cancel_at", "")
            try ask("/v1/subscriptions/\(subscription.id)", [form])
        }
        return refusal
    }
}
