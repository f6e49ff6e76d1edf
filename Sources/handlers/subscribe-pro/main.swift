import Common
import Upstream

let price = Settings.stripeKey.isEmpty ? "" : Settings.required("STRIPE_PRICE_ID")

serve(forgetting: "subscribe_pro_forget") { request, database, payments in
    try payments.begin()
    let once = try request.once("subscribe-pro")
    let page = try once.holding("subscribe_pro_begin", "subscribe_pro_end", for: payments.caller) {
        try Checkout(payments: payments, database: database, price: price).page()
    }
    return .json(page, status: 201)
}
