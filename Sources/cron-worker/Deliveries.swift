import Common
import Upstream

/// A one-time password to be sent.
struct Delivery: Decodable {
    let job: Job
    let mobile: Mobile
    let purpose: OTP.Purpose
    let sealed: String
    let expiresAt: String
    /// That it is still good for.
    let seconds: Int

    enum CodingKeys: String, CodingKey {
        case mobile, purpose, sealed, seconds
        case expiresAt = "expires_at"
    }

    init(from decoder: any Decoder) throws {
        let row = try decoder.container(keyedBy: CodingKeys.self)
        job = try Job(from: decoder)
        mobile = try row.decode(Mobile.self, forKey: .mobile)
        purpose = try row.decode(OTP.Purpose.self, forKey: .purpose)
        sealed = try row.decode(String.self, forKey: .sealed)
        expiresAt = try row.decode(String.self, forKey: .expiresAt)
        seconds = try row.decode(Int.self, forKey: .seconds)
    }

    func message(_ otp: OTP) -> SMS {
        let use = purpose == .signIn ? "to sign in" : "to set a new password"
        return SMS(
            id: job.id, mobile: mobile.digits, code: otp.code, expiresAt: expiresAt, seconds: seconds,
            text:
                "\(otp.code) is your code \(use). It is good for \(OTP.seconds / 60) minutes. Nobody else may know it.")
    }
}

/// The one-time passwords that this worker sends.
struct Deliveries {
    private let queue: ReplyQueue
    private let client: HTTPClient
    /// Nil where codes are not the worker's to send.
    private let carrier = SMSCarrier()
    private var calls: [ObjectIdentifier: (delivery: Delivery, transfer: Transfer)] = [:]
    /// What Postgres has not heard of yet.
    private var ended: [Job] = []
    private var postponed: [ReplyQueue.Postponed] = []

    /// At once; and how often a code is sent of which nobody knows whether it went out.
    private static let (limit, attempts) = (64, 2)

    init(queue: ReplyQueue, client: HTTPClient) {
        self.queue = queue
        self.client = client
    }

    var isOpen: Bool { carrier != nil && calls.count < Deliveries.limit }
    var hasEnded: Bool { !ended.isEmpty || !postponed.isEmpty }
    var isEmpty: Bool { calls.isEmpty && !hasEnded }
    var jobs: [Job] { calls.values.map(\.delivery.job) + ended + postponed.map(\.job) }

    /// Takes those that wait and sends them. Dropped without a trace are those whose number nobody has signed up, and codes
    /// that are over, used, or followed by another. That an attempt was made is committed before it is.
    mutating func claim() throws {
        guard isOpen else { return }
        let claimed = try queue.database.rows(
            Delivery.self,
            """
            with free as (
                select j.* from open_job_generations g cross join lateral (
                    select j.user_id, j.lane, j.id, coalesce(
                        o.expires_at = (j.payload ->> 'expires_at')::timestamptz and o.expires_at > now()
                            and exists (select from users u where u.mobile = o.mobile), false) as is_wanted
                    from jobs j
                    left join otps o on o.mobile = j.payload ->> 'mobile' and o.purpose = j.payload ->> 'purpose'
                    where j.generation = g.number and j.state = 'ready' and j.kind = 'otp'
                    order by j.run_at limit \(Deliveries.limit - calls.count)::int for update of j skip locked
                ) j limit \(Deliveries.limit - calls.count)::int
            ), dropped as (
                delete from jobs j using free f
                where j.user_id = f.user_id and j.lane = f.lane and j.id = f.id and not f.is_wanted
            )
            update jobs j
            set state = 'running', attempts = j.attempts + 1, worker = \(queue.worker),
                leased_until = now() + make_interval(secs => \(queue.lease)::int), started_at = coalesce(j.started_at, now())
            from free f where j.user_id = f.user_id and j.lane = f.lane and j.id = f.id and f.is_wanted
            returning j.user_id, j.lane, j.id, j.attempts, extract(epoch from now() - j.started_at) as waited,
                j.payload ->> 'mobile' as mobile, j.payload ->> 'purpose' as purpose, j.payload ->> 'sealed' as sealed,
                j.payload ->> 'expires_at' as expires_at,
                ceil(extract(epoch from (j.payload ->> 'expires_at')::timestamptz - now()))::int as seconds
            """)
        for delivery in claimed { begin(delivery) }
    }

    private mutating func begin(_ delivery: Delivery) {
        let job = delivery.job
        guard job.attempts <= Deliveries.attempts else { return giveUp(job, "nobody knows whether it was sent") }
        guard let otp = OTP(sealed: delivery.sealed, mobile: delivery.mobile, purpose: delivery.purpose) else {
            return giveUp(job, "no key of TOKEN_KEYS opens it")
        }
        do {
            guard let request = try carrier?.request(delivery.message(otp)) else {
                Log.delivery("one-time password", ["mobile": delivery.mobile.digits, "code": otp.code])
                ended.append(job)
                return
            }
            guard let transfer = client.start(request) else { return postpone(job, counts: false) }
            calls[ObjectIdentifier(transfer)] = (delivery, transfer)
        } catch {
            giveUp(job, "\(error)")
        }
    }

    /// Sees to those among these exchanges that are its own.
    mutating func end(_ transfers: [Transfer]) {
        for transfer in transfers {
            guard let call = calls.removeValue(forKey: ObjectIdentifier(transfer)) else { continue }
            let job = call.delivery.job
            switch SMSOutcome(status: transfer.status, failure: transfer.failure, body: transfer.take()) {
            case .sent: ended.append(job)
            case .notSent: postpone(job, counts: false)
            case .unknown(let reason):
                if job.attempts < Deliveries.attempts { postpone(job, counts: true) } else { giveUp(job, reason) }
            case .refused(let reason): giveUp(job, reason)
            }
        }
    }

    /// Has it sent again in a few seconds, for as long as the code is good.
    private mutating func postpone(_ job: Job, counts: Bool) {
        postponed.append(.init(job: job, seconds: Double.random(in: 1...3), counts: counts, partialText: ""))
    }

    /// Its owner asks for another.
    private mutating func giveUp(_ job: Job, _ reason: String) {
        Log.error("one-time password not sent", ["job_id": job.id.text, "reason": reason])
        ended.append(job)
    }

    /// Tells Postgres what has come of them.
    mutating func store() throws {
        try queue.delete(ended)
        ended = []
        try queue.postpone(postponed)
        postponed = []
    }
}
