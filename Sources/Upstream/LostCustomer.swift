import Common

/// Stripe does not find a customer of ours: they were deleted there, or belong to another account or mode than the key.
/// 409 `no_subscription` to whoever has no better answer.
public struct LostCustomer: Error {
    /// Whether Stripe says that they were deleted; then they are forgotten here too.
    public let isDeleted: Bool
}

/// A customer as Stripe shows them.
public struct StripeCustomer: Decodable, Sendable {
    public let deleted: Bool?

    public static func path(_ customer: String) -> String { "/v1/customers/\(customer)" }

    /// Forgets one who was deleted: a boolean, whether there was one.
    public static func forget(_ customer: String) -> SQL { "select forget_customer(\(customer))" }
}

extension Payments {
    /// Does something with a customer, and throws `LostCustomer` where Stripe does not find them.
    public func with<Value>(_ customer: String, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch StripeError.missing(parameter: "customer", let reason) {
            let isDeleted = try isDeleted(customer)
            if isDeleted {
                try forget(customer)
                Log.notice("a customer was deleted at Stripe", ["customer": customer, "reason": reason])
            } else {
                Log.error(
                    "a customer is not in the Stripe account of STRIPE_SECRET_KEY",
                    ["customer": customer, "reason": reason])
            }
            throw LostCustomer(isDeleted: isDeleted)
        }
    }

    /// Stripe still shows one who was deleted, and does not find one of another account or mode.
    private func isDeleted(_ customer: String) throws -> Bool {
        do {
            return try call(.get, StripeCustomer.path(customer), as: StripeCustomer.self).deleted == true
        } catch StripeError.missing {
            return false
        }
    }
}
