import Common
import Upstream

struct Payer: Decodable {
    let customer: String?
    /// Before Stripe is asked, by Postgres's clock.
    let asked: String
}

/// Seconds between two refreshes of a user.
let pause = 5

serve(forgetting: "refresh_subscription_forget") { _, database, payments in
    try payments.begin()
    let payer: Payer = try database.call("refresh_subscription", payments.caller, pause)
    var said: String?
    if let customer = payer.customer {
        // Of a customer whom Stripe has lost the rows say what there is to say.
        do { said = try payments.subscriptions(of: customer) } catch is LostCustomer {}
    }
    let status: JSONAnswer = try database.call(
        "refresh_subscription_end", payments.caller, payer.customer, payer.asked, said, Settings.stripeGraceDays,
        Subscription.notices)
    return .json(status)
}
