/// What the owner of a subscription is told.
public enum Subscription {
    /// What the owner of a subscription has to do or to know, by the codes of `subscription_notice()`.
    public enum Notice: String, CaseIterable, Sendable {
        case paymentDue = "payment_due"
        case paused = "subscription_paused"
        case collectionPaused = "collection_paused"

        public var detail: String {
            switch self {
            case .paymentDue: "A payment is due. Pay it in the portal: POST /subscription/portal."
            case .paused:
                """
                The subscription is paused, as after a trial that ended without a payment method. Add one in the portal \
                (POST /subscription/portal), then resume with POST /subscription/resume.
                """
            case .collectionPaused:
                """
                The operator has paused payments for this subscription, and Pro with them until payments resume. Ask them if \
                you did not expect this.
                """
            }
        }

        /// Refuses another purchase.
        public var problem: Problem { Problem(409, rawValue, detail) }
    }

    /// The sentence of each notice by its code, as JSON: functions put it into their answers (`notice_json`).
    public static let notices: String = {
        let members = Notice.allCases.map { "\"\($0.rawValue)\":\(JSON.quoted($0.detail))" }
        return "{\(members.joined(separator: ","))}"
    }()
}

extension Problem {
    /// Nobody can pay here: STRIPE_SECRET_KEY is not set.
    public static let paymentsOff = Problem(404, "payments_off", "Payments are not set up here.")
    /// Stripe is away, slow, or refuses what we ask; nothing is half-made.
    public static let stripeUnavailable = Problem(
        503, "stripe_unavailable", "Stripe does not answer at the moment; try again.", headers: [("Retry-After", "5")])
    /// There is nothing at Stripe to be cancelled, resumed or managed.
    public static let noSubscription = Problem(409, "no_subscription", "There is no subscription.")
    /// Whoever is Pro may not pay for it besides.
    public static let alreadyPro = Problem(
        409, "already_pro", "This account is Pro; POST /subscription/portal leads to where it is managed.")
}
