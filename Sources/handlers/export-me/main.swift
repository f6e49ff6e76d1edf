import Common

/// All that is kept of a user, an object of JSON each, without what opens anything: hashes of passwords, codes and tokens.
func lines(of user: ID) -> SQL {
    """
    select row_to_json(j)::text from (
        select 'user' as type, u.id, u.mobile, u.username, u.timezone, u.retention_days, \(User.tier) as tier, u.mobile_verified_at,
            u.created_at
        from users u where u.id = \(user)
    ) j
    union all
    select row_to_json(j)::text from (
        select 'session' as type, s.id, s.created_at, s.last_used_at, s.expires_at, s.ended_at, s.end_reason, s.ip,
            s.user_agent
        from sessions s where s.user_id = \(user) order by s.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'security_event' as type, e.id, e.kind, e.ip, e.user_agent, e.detail, e.created_at
        from security_events e where e.user_id = \(user) order by e.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'chatroom' as type, r.id, r.title, r.model, r.system_instruction, r.pinned, r.archived, r.branch,
            r.retention_days, r.created_at, r.changed_at, r.deleted_at
        from chatrooms r where r.user_id = \(user) order by r.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'branch' as type, b.chatroom_id, b.id, b.path, b.below, b.chosen_at
        from branches b where b.user_id = \(user) order by b.chatroom_id, b.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'message' as type, m.id, m.chatroom_id, m.branch, m.variant_of, m.role,
            \(Message.content) as content, m.status, m.error, m.model, \(Message.finishReason) as finish_reason, m.usage,
            m.tokens, m.provenance, m.attachments, \(Message.createdAt) as created_at, m.completed_at
        from messages m where m.user_id = \(user) order by m.chatroom_id, m.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'summary' as type, s.id, s.chatroom_id, s.upto, s.content, s.tokens, s.model, s.usage, s.created_at
        from summaries s where s.user_id = \(user) order by s.chatroom_id, s.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'share' as type, s.id, s.chatroom_id, s.title, s.messages, s.created_at, s.expires_at
        from shares s where s.user_id = \(user) order by s.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'attachment' as type, a.id, a.chatroom_id, a.media_type, a.bytes, a.name, a.created_at
        from attachments a where a.user_id = \(user) order by a.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'attachment_piece' as type, p.attachment_id, p.number, replace(encode(p.data, 'base64'), E'\\n', '') as base64
        from attachment_pieces p where p.user_id = \(user) order by p.attachment_id, p.number
    ) j
    union all
    select row_to_json(j)::text from (
        select 'usage' as type, d.day, d.charged, d.prompt_tokens, d.output_tokens, d.total_tokens
        from usage_days d where d.user_id = \(user) order by d.day
    ) j
    union all
    select row_to_json(j)::text from (
        select 'ledger_entry' as type, l.id, l.day, l.kind, l.amount, l.reason, l.chatroom_id, l.message_id, l.prompt_tokens,
            l.output_tokens, l.total_tokens, l.created_at
        from ledger l where l.user_id = \(user) order by l.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'idempotency_key' as type, k.key, k.endpoint, k.expires_at
        from idempotency_keys k where k.user_id = \(user) order by k.key
    ) j
    union all
    select row_to_json(j)::text from (
        select 'stripe_customer' as type, c.customer as id, c.created_at, c.refreshed_at, c.checked_at, c.agreed
        from stripe_customers c where c.user_id = \(user)
    ) j
    union all
    select row_to_json(j)::text from (
        select 'subscription' as type, s.id, s.status, s.price, s.livemode, s.current_period_end, s.cancel_at,
            s.cancel_at_period_end, s.past_due_since, s.is_paid, s.created_at, s.ended_at
        from subscriptions s where s.user_id = \(user) order by s.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'checkout' as type, k.session as id, k.created_at from checkouts k where k.user_id = \(user)
    ) j
    union all
    select row_to_json(j)::text from (
        select 'stripe_event' as type, e.id, e.type as event, e.created_at, e.received_at, e.applied_at
        from stripe_customers c join stripe_events e on e.customer = c.customer where c.user_id = \(user)
        order by e.received_at, e.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'pro_grant' as type, g.until, g.granted_at from pro_grants g where g.user_id = \(user)
    ) j
    """
}

serve { request, database in
    let caller = try request.caller()
    let user = caller.user
    // One export of a user at a time: the lock is held by the transaction that reads it.
    let isFree: SQL = "pg_try_advisory_xact_lock(uuid_hash_extended(\(user), 40))"
    let mayBegin = try database.row(
        Bool.self,
        """
        with caller as (\(caller.live) and \(RateLimit.export.allows)), free as (
            select user_id from caller where \(isFree)
        ), recorded as (
            \(SecurityEvent.exported.record(for: "select user_id from free", request))
        )
        select exists (select from free) from caller
        """)
    guard let mayBegin else { throw Problem.sessionEnded }
    guard mayBegin else { throw Problem.exportRunning }

    let headers = [
        ("Content-Type", "application/x-ndjson"), ("Content-Disposition", "attachment; filename=\"export.ndjson\""),
        ("Cache-Control", "no-store"),
    ]
    // One view of all of it, of which a few rows at a time are in memory here.
    return .stream(headers: headers) { write in
        try database.transaction {
            try database.execute("set transaction isolation level repeatable read, read only")
            guard try database.row(Bool.self, "select \(isFree)") ?? false else { throw Problem.exportRunning }
            try database.execute("declare export no scroll cursor for \(lines(of: user))")
            while true {
                let lines = try database.rows(String.self, "fetch 32 from export")
                if lines.isEmpty { break }
                try write(Array(lines.map { $0 + "\n" }.joined().utf8))
            }
        }
        try write(Array("{\"type\":\"end\"}\n".utf8))
    }
}

extension Problem {
    static let exportRunning = Problem(
        429, "export_running", "An export of yours is being made; wait until it has ended.",
        headers: [("Retry-After", "10")])
}
