-- What api.export_me_lines gives of an account: an object of JSON each, without what opens anything, hashes of passwords, codes and tokens.
-- Postgres puts these into its statement, so a row is made only when it is fetched; with settings, or as security definer, it would not.

-- An account's own rows: who they are, their sessions, what happened to them, what they used.
create or replace function exported_account(owner uuid) returns setof text language sql stable as $$
    select row_to_json(j)::text from (
        select 'user' as type, u.id, u.mobile, u.username, u.timezone, u.retention_days, tier(u) as tier, u.mobile_verified_at,
            u.created_at
        from users u where u.id = owner
    ) j
    union all
    select row_to_json(j)::text from (
        select 'session' as type, s.id, s.created_at, s.last_used_at, s.expires_at, s.ended_at, s.end_reason, s.ip,
            s.user_agent
        from sessions s where s.user_id = owner order by s.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'security_event' as type, e.id, e.kind, e.ip, e.user_agent, e.detail, e.created_at
        from security_events e where e.user_id = owner order by e.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'usage' as type, d.day, d.charged, d.prompt_tokens, d.output_tokens, d.total_tokens
        from usage_days d where d.user_id = owner order by d.day
    ) j
    union all
    select row_to_json(j)::text from (
        select 'ledger_entry' as type, l.id, l.day, l.kind, l.amount, l.reason, l.chatroom_id, l.message_id, l.prompt_tokens,
            l.output_tokens, l.total_tokens, l.created_at
        from ledger l where l.user_id = owner order by l.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'idempotency_key' as type, k.key, k.endpoint, k.expires_at
        from idempotency_keys k where k.user_id = owner order by k.key
    ) j
$$;

-- Their rooms, with all that is in them.
create or replace function exported_chat(owner uuid) returns setof text language sql stable as $$
    select row_to_json(j)::text from (
        select 'chatroom' as type, r.id, r.title, r.model, r.system_instruction, r.pinned, r.archived, r.branch,
            r.retention_days, r.created_at, r.changed_at, r.deleted_at
        from chatrooms r where r.user_id = owner order by r.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'branch' as type, b.chatroom_id, b.id, b.path, b.below, b.chosen_at
        from branches b where b.user_id = owner order by b.chatroom_id, b.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'message' as type, m.id, m.chatroom_id, m.branch, m.variant_of, m.role,
            case m.status when 'running' then coalesce(nullif(partial_text(m.user_id, m.id, m.attempt), ''), m.content)
                else m.content end as content,
            m.status, m.error, m.model, finish_word(m.finish_reason) as finish_reason, m.usage,
            m.tokens, m.provenance, m.attachments, told_at(m.created_at, m.role) as created_at, m.completed_at
        from messages m where m.user_id = owner order by m.chatroom_id, m.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'summary' as type, s.id, s.chatroom_id, s.upto, s.content, s.tokens, s.model, s.usage, s.created_at
        from summaries s where s.user_id = owner order by s.chatroom_id, s.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'share' as type, s.id, s.chatroom_id, s.title, s.messages, s.created_at, s.expires_at
        from shares s where s.user_id = owner order by s.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'attachment' as type, a.id, a.chatroom_id, a.media_type, a.bytes, a.name, a.created_at
        from attachments a where a.user_id = owner order by a.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'attachment_piece' as type, p.attachment_id, p.number, replace(encode(p.data, 'base64'), E'\n', '') as base64
        from attachment_pieces p where p.user_id = owner order by p.attachment_id, p.number
    ) j
$$;

-- What they pay, and what Stripe said of it.
create or replace function exported_plan(owner uuid) returns setof text language sql stable as $$
    select row_to_json(j)::text from (
        select 'stripe_customer' as type, c.customer as id, c.created_at, c.refreshed_at, c.checked_at, c.agreed
        from stripe_customers c where c.user_id = owner
    ) j
    union all
    select row_to_json(j)::text from (
        select 'subscription' as type, s.id, s.status, s.price, s.livemode, s.current_period_end, s.cancel_at,
            s.cancel_at_period_end, s.past_due_since, s.is_paid, s.created_at, s.ended_at
        from subscriptions s where s.user_id = owner order by s.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'checkout' as type, k.session as id, k.created_at from checkouts k where k.user_id = owner
    ) j
    union all
    select row_to_json(j)::text from (
        select 'stripe_event' as type, e.id, e.type as event, e.created_at, e.received_at, e.applied_at
        from stripe_customers c join stripe_events e on e.customer = c.customer where c.user_id = owner
        order by e.received_at, e.id
    ) j
    union all
    select row_to_json(j)::text from (
        select 'pro_grant' as type, g.until, g.granted_at from pro_grants g where g.user_id = owner
    ) j
$$;
