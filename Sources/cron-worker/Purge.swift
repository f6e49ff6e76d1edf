import Common

/// Deletes what is over, a batch at a time.
enum Purge {
    static func run(_ database: Database) {
        let batches: [SQL] = [
            """
            delete from cache where key in (
                select key from cache where expires_at < now() limit 5000 for update skip locked)
            """,
            """
            delete from otps where (mobile, purpose) in (
                select mobile, purpose from otps where expires_at < now() - interval '1 day' limit 5000
                for update skip locked)
            """,
            // Sign-ups that nobody has proven. A code on its way may be entered, and Pro that the operator gave waits for its owner.
            """
            delete from users where id in (
                select u.id from users u
                where u.mobile_verified_at is null and u.created_at < now() - interval '1 day'
                    and not exists (select from otps o where o.mobile = u.mobile and o.expires_at > now())
                    and not exists (select from pro_grants g where g.user_id = u.id)
                order by u.created_at limit 1000 for update skip locked)
            """,
            // What is locked is being counted, and judged by what comes of that.
            """
            delete from otp_sends where key in (
                select key from otp_sends
                where coalesce(sent[1], '-infinity'::timestamptz) < now() - interval '1 day' limit 5000
                for update skip locked)
            """,
            "delete from otp_days where day < now() - interval '30 days'",
            // Another zone may have the day go on for so long.
            "delete from kept_usage where ends_at < now() - interval '2 days'",
            """
            delete from sessions where (user_id, id) in (
                select user_id, id from sessions where expires_at < now() - interval '7 days' limit 5000)
            """,
            // Not those that are being counted on at the moment. Those of a number don't decay, but for a month without any.
            """
            delete from login_failures where key in (
                select key from login_failures
                where failed_at < now() - interval '1 day' and until < now()
                    and (mobile is null or key <> 'mobile:' || mobile or failed_at < now() - interval '30 days')
                limit 5000 for update skip locked)
            """,
            """
            delete from idempotency_keys where (user_id, key) in (
                select user_id, key from idempotency_keys where expires_at < now()
                order by expires_at limit 5000 for update skip locked)
            """,
            """
            delete from request_rates where (user_id, kind) in (
                select user_id, kind from request_rates where free_at < now() limit 5000 for update skip locked)
            """,
            "delete from unowned_events where id in (select id from unowned_events limit 5000)",
            // Of replies that are no more being written: a worker wrote what was cancelled at that moment.
            """
            delete from deltas where (user_id, message_id) in (
                select d.user_id, d.message_id from deltas d
                where not exists (select from jobs j where j.user_id = d.user_id and j.id = d.message_id) limit 5000)
            """,
            // Of codes that no worker was told to send.
            """
            delete from jobs where (user_id, lane, id) in (
                select o.* from open_job_generations g cross join lateral (
                    select user_id, lane, id from jobs
                    where generation = g.number and state = 'ready' and kind = 'otp'
                        and (payload ->> 'expires_at')::timestamptz < now()
                    order by run_at limit 5000 for update skip locked
                ) o)
            """,
            "delete from shares where (user_id, id) in (select user_id, id from shares where expires_at < now() limit 1000)",
            // What could not be indexed may have failed for a reason that has passed.
            "delete from search_queue where set_aside_at < now() - interval '30 days'",
            """
            update search_queue set set_aside_at = null
            where set_aside_at < now() - interval '1 hour' and failures < 3
            """,
            // Attachments that no message was sent with. Each may be large.
            """
            delete from attachments where (user_id, id) in (
                select user_id, id from attachments
                where chatroom_id is null and created_at < now() - interval '1 day' order by created_at limit 50
                for update skip locked)
            """,
            // Stripe sends an event again for a month at most.
            """
            delete from stripe_events where id in (
                select id from stripe_events where received_at < now() - interval '60 days' limit 5000)
            """,
            "delete from stripe_checks where started_at < now() - interval '60 days'",
            "delete from upstream_holds where not (\(Routes.isRemembered))",
            """
            with gone as (
                delete from workers where seen_at < now() - interval '1 day' returning replies_done, replies_failed
            )
            update past_workers p set replies_done = p.replies_done + g.done, replies_failed = p.replies_failed + g.failed
            from (select sum(replies_done) as done, sum(replies_failed) as failed from gone) g
            where p.is_only and g.done is not null
            """,
        ]
        for batch in batches {
            do { try database.execute(batch) } catch { Log.error("not purged", ["reason": "\(error)"]) }
        }
    }
}
