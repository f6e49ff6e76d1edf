import Common

/// How far a user is on the way to Pro.
struct Progress: Decodable {
    let customer: String?
    /// Stripe's keys of idempotency, for a customer and for a page.
    let attempt: ID
    let checkout: ID
    /// The page that was made.
    let session: String?
    let isPro: Bool
    /// Before Stripe is asked, by Postgres's clock.
    let asked: String
    let standing: Standing?

    enum CodingKeys: String, CodingKey {
        case customer, attempt, checkout, session, asked, standing
        case isPro = "is_pro"
    }
}
