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
    private var deleted: [BillingJob] = []
    private var postponed: [ReplyQueue.Postponed] = []

    private struct Call {
        let job: BillingJob
        let transfer: Transfer
        /// What earlier pages showed of the customer's.
        var said: [StripeSubscription] = []
        /// Whether it only asks if a customer is deleted already.
        var confirms = false
    }

    /// At once; Stripe takes 25 a second of a test account, 100 of a live one.
    private static let limit = 8

    init(queue: ReplyQueue, client: HTTPClient) {
        self.queue = BillingQueue(queue: queue)
        self.client = client
    }

    var isOpen: Bool { stripe != nil && calls.count < Billing.limit }
    var hasEnded: Bool { !answered.isEmpty || !deleted.isEmpty || !postponed.isEmpty }
    var isEmpty: Bool { calls.isEmpty && !hasEnded }
    var jobs: [Job] {
        calls.values.map(\.job.job) + answered.map(\.job.job) + deleted.map(\.job) + postponed.map(\.job)
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
        _ job: BillingJob, after: String? = nil, said: [StripeSubscription] = [], confirms: Bool = false
    ) {
        guard let stripe else { return }
        let request =
            if let customer = job.customer, job.deletes {
                stripe.request(confirms ? .get : .delete, "/v1/customers/\(customer)", timeout: 30_000)
            } else {
                stripe.request(
                    .get, "/v1/subscriptions", StripeSubscription.query(customer: job.customer, after: after),
                    timeout: 30_000)
            }
        guard let transfer = client.start(request) else { return postpone(job, "no memory for a call") }
        calls[ObjectIdentifier(transfer)] = Call(job: job, transfer: transfer, said: said, confirms: confirms)
    }

    /// Sees to those among these exchanges that are its own.
    mutating func end(_ transfers: [Transfer]) {
        for transfer in transfers {
            guard let call = calls.removeValue(forKey: ObjectIdentifier(transfer)) else { continue }
            do {
                if call.job.deletes {
                    try delete(call)
                } else {
                    try take(transfer.stripeAnswer(), for: call)
                }
            } catch let error as StripeError {
                postpone(call.job, error.reason)
            } catch {
                postpone(call.job, "\(error)")
            }
        }
    }

    /// One that is deleted already is not found, and neither is one of another account or mode: that of a wrong key, under which
    /// nothing is done yet.
    private mutating func delete(_ call: Call) throws {
        struct Customer: Decodable { let deleted: Bool? }
        do {
            let customer: Customer = try call.transfer.stripeAnswer()
            guard customer.deleted == true else { return postpone(call.job, "it is not deleted") }
            deleted.append(call.job)
        } catch StripeError.missing where !call.confirms {
            begin(call.job, confirms: true)
        }
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
        while let job = deleted.last {
            try queue.finish(job)
            deleted.removeLast()
        }
        try queue.postpone(postponed)
        postponed = []
    }
}
