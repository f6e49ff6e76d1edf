import Common
import Upstream

/// The queue of what is to be asked of Stripe, in Postgres.
struct BillingQueue {
    private let queue: ReplyQueue
    private var database: Database { queue.database }

    init(queue: ReplyQueue) { self.queue = queue }

    /// Queues the comparison of all subscriptions, where the last one began a day ago.
    func queueCheck() throws {
        try database.execute(
            """
            insert into jobs (user_id, lane, id, kind, payload)
            select k.key, k.key, k.key, 'stripe', jsonb_build_object('check', now())
            from (select md5('stripe:')::uuid as key) k
            where not exists (select from stripe_checks where started_at > now() - interval '1 day')
            on conflict do nothing
            """)
    }

    /// Takes up to `limit` of them. What is asked for from now on is asked again.
    func claim(limit: Int) throws -> [BillingJob] {
        try database.rows(
            BillingJob.self,
            """
            with free as (
                select f.* from open_job_generations g cross join lateral (
                    select user_id, lane, id from jobs where generation = g.number and state = 'ready' and kind = 'stripe'
                    order by run_at limit \(limit)::int for update skip locked
                ) f limit \(limit)::int
            )
            update jobs j
            set state = 'running', attempts = j.attempts + 1, worker = \(queue.worker), payload = j.payload - 'again',
                leased_until = now() + make_interval(secs => \(queue.lease)::int), started_at = coalesce(j.started_at, now())
            from free f where j.user_id = f.user_id and j.lane = f.lane and j.id = f.id
            returning j.user_id, j.lane, j.id, j.attempts, extract(epoch from now() - j.started_at) as waited,
                j.payload ->> 'customer' as customer, j.payload ? 'deletes' as deletes, j.payload ->> 'check' as check,
                j.payload ->> 'after' as after, now() as asked
            """)
    }

    /// Stores what Stripe said, of one customer or of a page of all.
    func store(_ job: BillingJob, _ said: [StripeSubscription], next: String?) throws {
        // A customer's rows know when they were asked for, and what is older is not stored; a page is only stored by whose it is.
        try database.transaction {
            if let customer = job.customer {
                _ = try database.row(Bool.self, StripeSubscription.store(said, of: customer, asked: job.asked))
                try finish(job)
            } else if let check = job.check, try goOn(job, after: next) {
                try compare(said, check: check, asked: job.asked, isLast: next == nil)
            }
        }
    }

    /// Ends a job, and with it, where it `forgets`, what is ours of its customer.
    func end(_ job: BillingJob, forgets: Bool) throws {
        try database.transaction {
            if forgets, let customer = job.customer {
                _ = try database.row(Bool.self, StripeCustomer.forget(customer))
            }
            try finish(job)
        }
    }

    private func compare(_ said: [StripeSubscription], check: String, asked: String, isLast: Bool) throws {
        let drifted = try database.row(
            Int.self,
            """
            select compare_subscriptions(\(check)::timestamptz, \(asked)::timestamptz,
                \(String(decoding: try JSON.encode(said), as: UTF8.self))::jsonb, \(isLast))
            """)
        if let drifted, drifted > 0 {
            Log.error("subscriptions were not what Stripe has; they are repaired", ["customers": String(drifted)])
        }
    }

    /// Ends a comparison, or has it go on behind the page that was compared. Whether it is still ours.
    private func goOn(_ job: BillingJob, after: String?) throws -> Bool {
        guard let after else { return try finish(job) }
        return try database.execute(
            """
            update jobs set state = 'ready', worker = null, leased_until = null, attempts = 0, run_at = now(),
                payload = payload || jsonb_build_object('after', \(after)::text)
            where user_id = \(job.job.userID) and lane = \(job.job.lane) and id = \(job.job.id)
                and state = 'running' and worker = \(queue.worker)
            """) > 0
    }

    /// Ends a job that is still ours, or has it done again where more was asked for meanwhile. Whether it was ours.
    @discardableResult
    func finish(_ job: BillingJob) throws -> Bool {
        let ours: SQL = """
            user_id = \(job.job.userID) and lane = \(job.job.lane) and id = \(job.job.id)
                and state = 'running' and worker = \(queue.worker)
            """
        return try database.execute("delete from jobs where \(ours) and not payload ? 'again'") > 0
            || database.execute(
                """
                update jobs set state = 'ready', worker = null, leased_until = null, attempts = 0, run_at = now()
                where \(ours)
                """) > 0
    }

    func postpone(_ jobs: [ReplyQueue.Postponed]) throws { try queue.postpone(jobs) }
}
