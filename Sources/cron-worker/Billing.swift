import Common
import Upstream

/// Something to be asked of Stripe, or told it.
struct BillingJob: Decodable {
    let job: Job
    /// Whose subscriptions are asked for, or who is to be deleted; nil for a comparison of all.
    let customer: String?
    let deletes: Bool
    /// Of a comparison: when it began, and the last subscription that was compared.
    let check: String?
    let after: String?
    /// When it was claimed, by Postgres's clock: before Stripe is asked.
    let asked: String

    enum CodingKeys: String, CodingKey { case customer, deletes, check, after, asked }

    init(from decoder: any Decoder) throws {
        let row = try decoder.container(keyedBy: CodingKeys.self)
        job = try Job(from: decoder)
        customer = try row.decodeIfPresent(String.self, forKey: .customer)
        deletes = try row.decode(Bool.self, forKey: .deletes)
        check = try row.decodeIfPresent(String.self, forKey: .check)
        after = try row.decodeIfPresent(String.self, forKey: .after)
        asked = try row.decode(String.self, forKey: .asked)
    }
}

/// What this worker has to do with Stripe. Each job is tried until Stripe has answered it, with growing pauses.
struct Billing {
    private let queue: BillingQueue
    private let client: HTTPClient
    /// Nil where nobody can pay.
    private let stripe = Stripe()
    private var calls: [ObjectIdentifier: Call] = [:]
    /// What Postgres has not heard of yet.
    private var answered: [(job: BillingJob, said: [StripeSubscription], next: String?)] = []
    /// Jobs that are done, and of these, whether their customer is to be forgotten here too.
    private var ended: [(job: BillingJob, forgets: Bool)] = []
    private var postponed: [ReplyQueue.Postponed] = []

    private struct Call {
        let job: BillingJob
        let transfer: Transfer
        /// What earlier pages showed of the customer's.
        var said: [StripeSubscription] = []
        /// Why Stripe did not find the customer, where this call only asks whether they are deleted.
        var lost: String?
    }

    /// Seconds for which a deletion is tried with a key that does not find the customer: a wrong one may be put right.
    private static let patience = 86_400.0

    /// At once; Stripe takes 25 a second of a test account, 100 of a live one.
    private static let limit = 8

    init(queue: ReplyQueue, client: HTTPClient) {
        self.queue = BillingQueue(queue: queue)
        self.client = client
    }

    var isOpen: Bool { stripe != nil && calls.count < Billing.limit }
    var hasEnded: Bool { !answered.isEmpty || !ended.isEmpty || !postponed.isEmpty }
    var isEmpty: Bool { calls.isEmpty && !hasEnded }
    var jobs: [Job] {
        calls.values.map(\.job.job) + answered.map(\.job.job) + ended.map(\.job.job) + postponed.map(\.job)
    }

    /// Has all subscriptions compared, once a day.
    func begin() throws {
        if stripe != nil { try queue.queueCheck() }
    }

    mutating func claim() throws {
        guard isOpen else { return }
        for job in try queue.claim(limit: Billing.limit - calls.count) { begin(job, after: job.after) }
    }

    private mutating func begin(
        _ job: BillingJob, after: String? = nil, said: [StripeSubscription] = [], lost: String? = nil
    ) {
        guard let stripe else { return }
        let request =
            if let customer = job.customer, job.deletes || lost != nil {
                stripe.request(lost == nil ? .delete : .get, StripeCustomer.path(customer), timeout: 30_000)
            } else {
                stripe.request(
                    .get, "/v1/subscriptions", StripeSubscription.query(customer: job.customer, after: after),
                    timeout: 30_000)
            }
        guard let transfer = client.start(request) else { return postpone(job, "no memory for a call") }
        calls[ObjectIdentifier(transfer)] = Call(job: job, transfer: transfer, said: said, lost: lost)
    }

    /// Sees to those among these exchanges that are its own.
    mutating func end(_ transfers: [Transfer]) {
        for transfer in transfers {
            guard let call = calls.removeValue(forKey: ObjectIdentifier(transfer)) else { continue }
            do {
                if call.lost != nil {
                    try confirm(call)
                } else if call.job.deletes {
                    try delete(call)
                } else {
                    try take(transfer.stripeAnswer(), for: call)
                }
            } catch StripeError.missing(_, let reason) where call.job.customer != nil {
                lose(call, reason)
            } catch StripeError.missing(parameter: "starting_after", _) where call.job.check != nil {
                // Where the comparison stood is in another account: it begins again.
                begin(call.job)
            } catch let error as StripeError {
                postpone(call.job, error.reason)
            } catch {
                postpone(call.job, "\(error)")
            }
        }
    }

    private mutating func delete(_ call: Call) throws {
        let customer: StripeCustomer = try call.transfer.stripeAnswer()
        guard customer.deleted == true else { return postpone(call.job, "it is not deleted") }
        ended.append((call.job, forgets: false))
    }

    /// Ends the job of a customer who is deleted.
    private mutating func confirm(_ call: Call) throws {
        let customer: StripeCustomer = try call.transfer.stripeAnswer()
        guard customer.deleted == true else { return postpone(call.job, "it is not deleted") }
        if !call.job.deletes {
            Log.notice("a customer was deleted at Stripe", ["customer": call.job.customer ?? ""])
        }
        ended.append((call.job, forgets: !call.job.deletes))
    }

    /// Of a customer whom Stripe does not find, it is asked whether they are deleted. If it does not know them at all, they are of
    /// another account or mode than the key, and asking again would not help: the job ends, and our rows stay. Only a deletion is
    /// tried for a day, for while it is not done they go on paying.
    private mutating func lose(_ call: Call, _ reason: String) {
        guard let reason = call.lost else { return begin(call.job, lost: reason) }
        if call.job.deletes, call.job.job.waited < Billing.patience { return postpone(call.job, reason) }
        let message =
            call.job.deletes
            ? "a customer could not be deleted, as they are not in the Stripe account of STRIPE_SECRET_KEY; delete them there"
            : "a customer is not in the Stripe account of STRIPE_SECRET_KEY"
        Log.error(message, ["customer": call.job.customer ?? "", "reason": reason])
        ended.append((call.job, forgets: false))
    }

    private mutating func take(_ page: StripeList<StripeSubscription>, for call: Call) throws {
        let said = call.said + page.data
        if call.job.check == nil, let next = page.next { return begin(call.job, after: next, said: said) }
        answered.append((call.job, said, page.next))
    }

    private mutating func postpone(_ job: BillingJob, _ reason: String) {
        let message = "Stripe did not do it; it is asked again"
        let fields: KeyValuePairs = [
            "customer": job.customer ?? "all", "attempts": String(job.job.attempts), "reason": reason,
        ]
        // A while without an answer mends itself.
        if job.job.attempts > 5 { Log.error(message, fields) } else { Log.notice(message, fields) }
        let seconds = min(900, 0.5 * Double(1 << min(job.job.attempts, 12))) * Double.random(in: 0.5...1)
        postponed.append(.init(job: job.job, seconds: seconds, counts: true, partialText: ""))
    }

    /// Tells Postgres what has come of them: of each by itself, so that none waits for what another's rows are at odds with.
    mutating func store() throws {
        while let (job, said, next) = answered.last {
            do {
                try queue.store(job, said, next: next)
            } catch let error as DatabaseError where error.isOfValues {
                postpone(job, "\(error)")
            }
            answered.removeLast()
        }
        while let (job, forgets) = ended.last {
            try queue.end(job, forgets: forgets)
            ended.removeLast()
        }
        try queue.postpone(postponed)
        postponed = []
    }
}
