import Common

/// A request that calls Stripe on its way: one call after another, all of them within 8 s.
public final class Payments {
    public let caller: Caller
    private let database: Database
    private let stripe: Stripe?
    private let client: HTTPClient
    private let forgetting: StaticString
    /// Monotonic milliseconds.
    private var deadline = 0
    /// How the limit stands that the request was counted on: every answer to it says so, whatever becomes of it.
    public var standing: Standing?

    fileprivate init(
        _ caller: Caller, _ database: Database, _ stripe: Stripe?, _ client: HTTPClient, forgetting: StaticString
    ) {
        self.caller = caller
        self.database = database
        self.stripe = stripe
        self.client = client
        self.forgetting = forgetting
    }

    /// Begins with the calls; 404 where nobody can pay.
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

    /// All subscriptions of a customer, as `store_subscriptions` takes them. Throws `LostCustomer`.
    public func subscriptions(of customer: String) throws -> String {
        var all: [StripeSubscription] = []
        var after: String?
        repeat {
            let page: StripeList<StripeSubscription> = try with(customer) {
                try call(.get, "/v1/subscriptions", StripeSubscription.query(customer: customer, after: after))
            }
            all += page.data
            after = page.next
        } while after != nil
        return try StripeSubscription.json(all)
    }

    /// Forgets a customer whom Stripe has lost, with all that is ours of them.
    public func forget(_ customer: String) throws { let _: Done = try database.call(forgetting, caller, customer) }
}

/// Serves an endpoint that calls Stripe. What Stripe does not do is logged, and 503 to the caller.
/// - Parameter forgetting: the endpoint's function that forgets a customer of the caller's.
public func serve(
    forgetting: StaticString, _ handler: @escaping (Request, Database, Payments) throws -> Response
) -> Never {
    let stripe = Stripe()
    // The connection is kept from one request to the next.
    let client = HTTPClient()
    serve { request, database in
        let payments = Payments(try request.caller(), database, stripe, client, forgetting: forgetting)
        return try request.counted(payments.standing) {
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
}
