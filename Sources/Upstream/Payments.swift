import Common

/// Calls to Stripe on the way of a request: one after another, all of them within 8 s, and the connection is kept.
public final class Payments {
    private let stripe = Stripe()
    private let client = HTTPClient()
    /// Monotonic milliseconds.
    private var deadline = 0

    /// Begins with a request; 404 where nobody can pay.
    public func begin() throws {
        guard stripe != nil else { throw Problem.paymentsOff }
        deadline = monotonicMilliseconds() + 8_000
    }

    /// Asks Stripe and waits for its answer; for its parameters see `Stripe.request`.
    public func call<Value: Decodable>(
        _ method: Stripe.Method, _ path: String, _ form: [(String, String)] = [], key: String? = nil,
        as type: Value.Type = Value.self
    ) throws -> Value {
        guard let stripe else { throw Problem.paymentsOff }
        while true {
            let left = deadline - monotonicMilliseconds()
            guard left > 0, let transfer = client.start(stripe.request(method, path, form, key: key, timeout: left))
            else {
                throw StripeError.silent("no time is left")
            }
            while !client.perform().contains(where: { $0 === transfer }) {
                _ = client.wait(milliseconds: left, descriptors: [])
            }
            do {
                return try transfer.stripeAnswer(type)
            } catch StripeError.underWay {
                // The same by somebody else, whose answer we get when they have it.
                _ = client.wait(milliseconds: 100, descriptors: [])
            }
        }
    }

    /// Asks for all subscriptions of a customer, and makes our rows equal. Throws `LostCustomer`.
    public func refresh(_ customer: String, _ database: Database) throws {
        let asked = try database.row(String.self, "select clock_timestamp()") ?? ""
        var all: [StripeSubscription] = []
        var after: String?
        repeat {
            let page: StripeList<StripeSubscription> = try with(customer, database) {
                try call(.get, "/v1/subscriptions", StripeSubscription.query(customer: customer, after: after))
            }
            all += page.data
            after = page.next
        } while after != nil
        _ = try database.row(Bool.self, StripeSubscription.store(all, of: customer, asked: asked))
    }
}

/// Serves an endpoint that calls Stripe. What Stripe does not do is logged, and 503 to the caller.
public func serve(_ handler: @escaping (Request, Database, Payments) throws -> Response) -> Never {
    let payments = Payments()
    serve { request, database in
        do {
            return try handler(request, database, payments)
        } catch is LostCustomer {
            throw Problem.noSubscription
        } catch let error as StripeError {
            Log.error("Stripe did not do it", ["request_id": request.id, "reason": error.reason])
            throw Problem.stripeUnavailable
        }
    }
}
