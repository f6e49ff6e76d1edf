import Common

/// What the quota of their users has to know of replies that have ended: a finished one is charged to the day in which it was asked
/// for, for any other its place is given back.
enum Receipts {
    /// The parts of the statement that ends them.
    /// - Parameter ended: the part that deletes their jobs, with their `day`, and the columns of `ReplyQueue.finish`. A job without
    ///   a day reserved nothing.
    static func of(_ ended: SQL) -> SQL {
        """
        told as (
            select e.user_id, e.lane, e.id, e.day, e.error is null as is_done, e.error::jsonb ->> 'code' as reason,
                (u.usage ->> 'prompt_tokens')::int as prompt_tokens, (u.usage ->> 'output_tokens')::int as output_tokens,
                (u.usage ->> 'total_tokens')::int as total_tokens
            from \(ended) e cross join lateral (select e.usage::jsonb as usage) u where e.day is not null
        ), receipts as (
            insert into ledger (
                user_id, day, kind, amount, reason, chatroom_id, message_id, prompt_tokens, output_tokens, total_tokens)
            select user_id, day, (case when is_done then 'charge' else 'refund' end)::ledger_kind, is_done::int - 1,
                coalesce(reason, 'done'), lane, id, prompt_tokens, output_tokens, total_tokens
            from told
        ), counted as (
            insert into usage_days as d (
                user_id, day, charged, refunded, prompt_tokens, output_tokens, total_tokens)
            select user_id, day, count(*) filter (where is_done), count(*) filter (where not is_done),
                coalesce(sum(prompt_tokens), 0),
                coalesce(sum(output_tokens), 0), coalesce(sum(total_tokens), 0)
            from told group by user_id, day order by user_id, day
            on conflict (user_id, day) do update set
                charged = d.charged + excluded.charged, refunded = d.refunded + excluded.refunded,
                prompt_tokens = d.prompt_tokens + excluded.prompt_tokens,
                output_tokens = d.output_tokens + excluded.output_tokens,
                total_tokens = d.total_tokens + excluded.total_tokens
        )
        """
    }
}
