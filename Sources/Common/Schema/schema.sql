-- The whole schema. Functions are not here: each has its file, in Functions or in an endpoint's folder.
-- bin/schema writes this from the migrations. People read it; no program does.

CREATE SCHEMA api;

CREATE TYPE public.caller AS (
	user_id uuid,
	session_id uuid,
	token_time bigint
);

CREATE TYPE public.job_kind AS ENUM (
    'reply',
    'title',
    'summary',
    'otp',
    'stripe'
);

CREATE TYPE public.job_state AS ENUM (
    'ready',
    'waiting',
    'running'
);

CREATE TYPE public.ledger_kind AS ENUM (
    'reserve',
    'charge',
    'refund'
);

CREATE TYPE public.message_role AS ENUM (
    'user',
    'model'
);

CREATE TYPE public.message_status AS ENUM (
    'queued',
    'running',
    'done',
    'failed',
    'cancelled'
);

CREATE TYPE public.once AS (
	key text,
	endpoint text,
	body_hash text
);

CREATE TYPE public.place AS (
	verdict text,
	tier text,
	used integer,
	resets_at text,
	day_seconds integer,
	ahead double precision
);

CREATE TYPE public.queue_place AS (
	before bigint,
	running bigint,
	rooms bigint,
	is_whole boolean,
	calls bigint,
	seconds double precision
);

CREATE TYPE public.turn AS (
	user_id uuid,
	chatroom_id uuid,
	branch integer,
	at timestamp with time zone,
	day date,
	question uuid,
	content text,
	attachments uuid[],
	question_variant_of uuid,
	reply uuid,
	begun text,
	reply_variant_of uuid
);

CREATE TYPE public.turn_answer AS (
	verdict text,
	number integer,
	question uuid,
	reply uuid,
	at text,
	replied_at text,
	siblings text,
	attachments text,
	begun text,
	message text,
	tier text,
	used integer,
	resets_at text,
	day_seconds integer,
	ahead double precision
);

CREATE TABLE public.search_queue (
    user_id uuid NOT NULL,
    chatroom_id uuid NOT NULL,
    id uuid NOT NULL,
    queued_at timestamp with time zone DEFAULT now() NOT NULL,
    set_aside_at timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL
);

CREATE TABLE public.messages (
    user_id uuid NOT NULL,
    chatroom_id uuid NOT NULL,
    id uuid NOT NULL,
    role public.message_role NOT NULL,
    content text NOT NULL,
    status public.message_status NOT NULL,
    error jsonb,
    model text,
    finish_reason text,
    usage jsonb,
    created_at timestamp with time zone NOT NULL,
    completed_at timestamp with time zone,
    branch integer DEFAULT 0 NOT NULL,
    variant_of uuid,
    tokens integer,
    provenance jsonb,
    attempt integer DEFAULT 0 NOT NULL,
    attachments uuid[]
)
WITH (fillfactor='85');

CREATE TABLE public.users (
    id uuid DEFAULT public.uuidv7(clock_timestamp()) NOT NULL,
    mobile text NOT NULL,
    username text,
    password_hash text,
    mobile_verified_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    timezone text DEFAULT 'UTC'::text NOT NULL,
    signed_up_from text,
    retention_days integer,
    pro_until timestamp with time zone,
    usage_day date,
    usage_day_end timestamp with time zone,
    usage_day_until timestamp with time zone,
    CONSTRAINT users_mobile_form CHECK ((mobile ~ '^\+[0-9]{6,15}$'::text)),
    CONSTRAINT users_retention_days CHECK (((retention_days >= 1) AND (retention_days <= 3650))),
    CONSTRAINT users_username_length CHECK (((char_length(username) >= 1) AND (char_length(username) <= 80)))
);

CREATE TABLE public.subscriptions (
    user_id uuid NOT NULL,
    id text NOT NULL,
    status text NOT NULL,
    price text,
    livemode boolean NOT NULL,
    current_period_end timestamp with time zone,
    cancel_at timestamp with time zone,
    cancel_at_period_end boolean NOT NULL,
    past_due_since timestamp with time zone,
    is_paid boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    grace interval NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    collection_pause text,
    resumes_at timestamp with time zone
);

CREATE TABLE public.chatrooms (
    user_id uuid NOT NULL,
    id uuid DEFAULT public.uuidv7(clock_timestamp()) NOT NULL,
    title text,
    model text,
    system_instruction text,
    pinned boolean DEFAULT false NOT NULL,
    archived boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    branch integer DEFAULT 0 NOT NULL,
    branches integer DEFAULT 0 NOT NULL,
    retention_days integer,
    deleted_at timestamp with time zone,
    title_words tsvector GENERATED ALWAYS AS (public.search_words(user_id, title)) STORED,
    sweep_at timestamp with time zone DEFAULT now(),
    CONSTRAINT chatrooms_retention_days CHECK (((retention_days >= 1) AND (retention_days <= 3650))),
    CONSTRAINT chatrooms_title_length CHECK ((char_length(title) <= 100))
);

CREATE TABLE public.sessions (
    user_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    refresh_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    ip inet,
    user_agent text,
    generation integer DEFAULT 0 NOT NULL,
    refreshed_at timestamp with time zone DEFAULT now() NOT NULL,
    end_reason text,
    signed_in_by text,
    is_unused boolean DEFAULT false NOT NULL,
    CONSTRAINT sessions_signed_in_by CHECK ((signed_in_by = ANY (ARRAY['otp'::text, 'password'::text])))
);

CREATE TABLE public.shares (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    chatroom_id uuid NOT NULL,
    token_hash text NOT NULL,
    title text,
    messages json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.attachment_pieces (
    user_id uuid NOT NULL,
    attachment_id uuid NOT NULL,
    number integer NOT NULL,
    data bytea NOT NULL
);
ALTER TABLE ONLY public.attachment_pieces ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE public.attachments (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    chatroom_id uuid,
    media_type text NOT NULL,
    bytes integer NOT NULL,
    name text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.branches (
    user_id uuid NOT NULL,
    chatroom_id uuid NOT NULL,
    id integer NOT NULL,
    path integer[] NOT NULL,
    below uuid[] NOT NULL,
    chosen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE UNLOGGED TABLE public.cache (
    key text NOT NULL,
    value text NOT NULL,
    expires_at timestamp with time zone NOT NULL
)
WITH (toast_tuple_target='8160');
ALTER TABLE ONLY public.cache ALTER COLUMN value SET STORAGE EXTERNAL;

CREATE TABLE public.checkouts (
    user_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    session text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE UNLOGGED TABLE public.deltas (
    user_id uuid NOT NULL,
    message_id uuid NOT NULL,
    attempt integer NOT NULL,
    start integer NOT NULL,
    text text NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_cost_delay='0');

CREATE TABLE public.functions (
    file text NOT NULL,
    hash text NOT NULL,
    makes text[] NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.idempotency_keys (
    user_id uuid NOT NULL,
    key text NOT NULL,
    endpoint text NOT NULL,
    body_hash text NOT NULL,
    answer json NOT NULL,
    expires_at timestamp with time zone DEFAULT (now() + '1 day'::interval) NOT NULL
);

CREATE TABLE public.job_generations (
    number integer NOT NULL,
    changes bigint DEFAULT 0 NOT NULL,
    writers text[],
    is_left boolean DEFAULT false NOT NULL
);

CREATE SEQUENCE public.newest_job_generation
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.jobs (
    user_id uuid NOT NULL,
    lane uuid NOT NULL,
    id uuid NOT NULL,
    kind public.job_kind NOT NULL,
    state public.job_state DEFAULT 'ready'::public.job_state NOT NULL,
    run_at timestamp with time zone DEFAULT now() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    worker uuid,
    leased_until timestamp with time zone,
    started_at timestamp with time zone,
    payload jsonb,
    day date,
    partial text,
    generation integer DEFAULT pg_sequence_last_value('public.newest_job_generation'::regclass) NOT NULL
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='5000', autovacuum_vacuum_cost_delay='0');

CREATE TABLE public.kept_usage (
    key text NOT NULL,
    day date NOT NULL,
    used integer NOT NULL,
    free_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL
);

CREATE TABLE public.ledger (
    user_id uuid NOT NULL,
    id uuid DEFAULT public.uuidv7(clock_timestamp()) NOT NULL,
    day date NOT NULL,
    kind public.ledger_kind NOT NULL,
    amount integer NOT NULL,
    reason text NOT NULL,
    chatroom_id uuid NOT NULL,
    message_id uuid NOT NULL,
    prompt_tokens integer,
    output_tokens integer,
    total_tokens integer,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.login_failures (
    key text NOT NULL,
    failures integer NOT NULL,
    failed_at timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    mobile text
);

CREATE TABLE public.migrations (
    name text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.model_times (
    model text NOT NULL,
    milliseconds double precision NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE SEQUENCE public.oldest_job_generation
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE VIEW public.open_job_generations AS
 SELECT number
   FROM job_generations
  WHERE ((number >= ( SELECT pg_sequence_last_value('oldest_job_generation'::regclass) AS pg_sequence_last_value)) AND (NOT is_left));

CREATE TABLE public.otp_days (
    day date NOT NULL,
    sent integer NOT NULL
);

CREATE TABLE public.otp_sends (
    key text NOT NULL,
    sent timestamp with time zone[] NOT NULL,
    origins text[] DEFAULT '{}'::text[] NOT NULL
);

CREATE TABLE public.otps (
    mobile text NOT NULL,
    purpose text NOT NULL,
    code_hash text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    sent_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    superseded text[] DEFAULT '{}'::text[] NOT NULL,
    asked_from text,
    elsewhere integer DEFAULT 0 NOT NULL,
    CONSTRAINT otps_purpose CHECK ((purpose = ANY (ARRAY['sign_in'::text, 'reset'::text])))
);

CREATE TABLE public.past_workers (
    is_only boolean DEFAULT true NOT NULL,
    replies_done bigint DEFAULT 0 NOT NULL,
    replies_failed bigint DEFAULT 0 NOT NULL,
    CONSTRAINT past_workers_is_only CHECK (is_only)
);

CREATE TABLE public.pro_grants (
    user_id uuid NOT NULL,
    until timestamp with time zone NOT NULL,
    granted_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE UNLOGGED TABLE public.request_rates (
    user_id uuid NOT NULL,
    kind text NOT NULL,
    free_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.search_entries (
    user_id uuid NOT NULL,
    chatroom_id uuid NOT NULL,
    message_id uuid NOT NULL,
    words tsvector NOT NULL
);

CREATE TABLE public.security_events (
    user_id uuid NOT NULL,
    id uuid DEFAULT public.uuidv7(clock_timestamp()) NOT NULL,
    kind text NOT NULL,
    ip inet,
    user_agent text,
    detail jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.stripe_checks (
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    compared integer DEFAULT 0 NOT NULL,
    drifted integer DEFAULT 0 NOT NULL
);

CREATE TABLE public.stripe_customers (
    user_id uuid NOT NULL,
    customer text,
    attempt uuid DEFAULT gen_random_uuid() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    refreshed_at timestamp with time zone,
    checked_at timestamp with time zone,
    agreed boolean
);

CREATE TABLE public.stripe_events (
    id text NOT NULL,
    type text NOT NULL,
    customer text,
    api_version text,
    created_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    applied_at timestamp with time zone
);

CREATE TABLE public.summaries (
    user_id uuid NOT NULL,
    chatroom_id uuid NOT NULL,
    id uuid DEFAULT public.uuidv7(clock_timestamp()) NOT NULL,
    upto uuid NOT NULL,
    content text NOT NULL,
    tokens integer NOT NULL,
    model text,
    usage jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.unowned_events (
    user_id uuid NOT NULL,
    id uuid DEFAULT public.uuidv7(clock_timestamp()) NOT NULL,
    kind text NOT NULL,
    ip inet,
    user_agent text,
    detail jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.upstream_holds (
    key text NOT NULL,
    model text NOT NULL,
    until timestamp with time zone NOT NULL,
    reason text NOT NULL,
    refusals integer DEFAULT 1 NOT NULL
);

CREATE TABLE public.usage_days (
    user_id uuid NOT NULL,
    day date NOT NULL,
    charged integer DEFAULT 0 NOT NULL,
    prompt_tokens bigint DEFAULT 0 NOT NULL,
    output_tokens bigint DEFAULT 0 NOT NULL,
    total_tokens bigint DEFAULT 0 NOT NULL,
    reserved integer DEFAULT 0 NOT NULL,
    refunded integer DEFAULT 0 NOT NULL,
    free_at timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    carried integer DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.workers (
    id uuid NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    replies_done bigint DEFAULT 0 NOT NULL,
    replies_failed bigint DEFAULT 0 NOT NULL
);

ALTER TABLE ONLY public.attachment_pieces
    ADD CONSTRAINT attachment_pieces_pkey PRIMARY KEY (user_id, attachment_id, number);

ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.branches
    ADD CONSTRAINT branches_pkey PRIMARY KEY (user_id, chatroom_id, id);

ALTER TABLE ONLY public.cache
    ADD CONSTRAINT cache_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.chatrooms
    ADD CONSTRAINT chatrooms_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.deltas
    ADD CONSTRAINT deltas_pkey PRIMARY KEY (user_id, message_id, attempt, start);

ALTER TABLE ONLY public.functions
    ADD CONSTRAINT functions_pkey PRIMARY KEY (file);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (user_id, key);

ALTER TABLE ONLY public.job_generations
    ADD CONSTRAINT job_generations_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (user_id, lane, id);

ALTER TABLE ONLY public.kept_usage
    ADD CONSTRAINT kept_usage_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.login_failures
    ADD CONSTRAINT login_failures_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (user_id, chatroom_id, id);

ALTER TABLE ONLY public.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.model_times
    ADD CONSTRAINT model_times_pkey PRIMARY KEY (model);

ALTER TABLE ONLY public.otp_days
    ADD CONSTRAINT otp_days_pkey PRIMARY KEY (day);

ALTER TABLE ONLY public.otp_sends
    ADD CONSTRAINT otp_sends_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.otps
    ADD CONSTRAINT otps_pkey PRIMARY KEY (mobile, purpose);

ALTER TABLE ONLY public.past_workers
    ADD CONSTRAINT past_workers_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY public.pro_grants
    ADD CONSTRAINT pro_grants_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.request_rates
    ADD CONSTRAINT request_rates_pkey PRIMARY KEY (user_id, kind);

ALTER TABLE ONLY public.search_entries
    ADD CONSTRAINT search_entries_pkey PRIMARY KEY (user_id, chatroom_id, message_id);

ALTER TABLE ONLY public.search_queue
    ADD CONSTRAINT search_queue_pkey PRIMARY KEY (user_id, chatroom_id, id);

ALTER TABLE ONLY public.security_events
    ADD CONSTRAINT security_events_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.shares
    ADD CONSTRAINT shares_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.shares
    ADD CONSTRAINT shares_token UNIQUE (token_hash);

ALTER TABLE ONLY public.stripe_checks
    ADD CONSTRAINT stripe_checks_pkey PRIMARY KEY (started_at);

ALTER TABLE ONLY public.stripe_customers
    ADD CONSTRAINT stripe_customers_customer_key UNIQUE (customer);

ALTER TABLE ONLY public.stripe_customers
    ADD CONSTRAINT stripe_customers_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.stripe_events
    ADD CONSTRAINT stripe_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.summaries
    ADD CONSTRAINT summaries_pkey PRIMARY KEY (user_id, chatroom_id, id);

ALTER TABLE ONLY public.summaries
    ADD CONSTRAINT summaries_upto UNIQUE (user_id, chatroom_id, upto);

ALTER TABLE ONLY public.unowned_events
    ADD CONSTRAINT unowned_events_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.upstream_holds
    ADD CONSTRAINT upstream_holds_pkey PRIMARY KEY (key, model);

ALTER TABLE ONLY public.usage_days
    ADD CONSTRAINT usage_days_pkey PRIMARY KEY (user_id, day);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_mobile_key UNIQUE (mobile);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);

CREATE INDEX attachments_of_room ON public.attachments USING btree (user_id, chatroom_id);

CREATE INDEX attachments_unsent ON public.attachments USING btree (created_at) WHERE (chatroom_id IS NULL);

CREATE INDEX cache_expired ON public.cache USING btree (expires_at);

CREATE INDEX chatrooms_purge ON public.chatrooms USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

CREATE INDEX chatrooms_sweep ON public.chatrooms USING btree (sweep_at) WHERE (sweep_at IS NOT NULL);

CREATE INDEX chatrooms_title_words ON public.chatrooms USING gin (title_words) WITH (fastupdate=off);

CREATE INDEX chatrooms_trash ON public.chatrooms USING btree (user_id, deleted_at, id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX idempotency_keys_over ON public.idempotency_keys USING btree (expires_at);

CREATE INDEX jobs_begun ON public.jobs USING btree (generation, state, user_id, lane, id) WHERE (state <> 'ready'::public.job_state);

CREATE UNIQUE INDEX jobs_one_running ON public.jobs USING btree (user_id, lane) WHERE (state = 'running'::public.job_state);

CREATE INDEX jobs_others ON public.jobs USING btree (generation, kind, run_at) WHERE ((state = 'ready'::public.job_state) AND (kind <> 'reply'::public.job_kind));

CREATE INDEX jobs_replies ON public.jobs USING btree (generation, user_id, lane, id) WHERE ((state = 'ready'::public.job_state) AND (kind = 'reply'::public.job_kind));

CREATE INDEX jobs_waiting ON public.jobs USING btree (generation, run_at) WHERE (state = 'waiting'::public.job_state);

CREATE INDEX kept_usage_over ON public.kept_usage USING btree (ends_at);

CREATE INDEX login_failures_mobile ON public.login_failures USING btree (mobile) WHERE (mobile IS NOT NULL);

CREATE INDEX login_failures_over ON public.login_failures USING btree (failed_at);

CREATE INDEX messages_variants ON public.messages USING btree (user_id, chatroom_id, variant_of) WHERE ((variant_of IS NOT NULL) OR (attachments IS NOT NULL));

CREATE INDEX otp_sends_over ON public.otp_sends USING btree (COALESCE(sent[1], '-infinity'::timestamp with time zone));

CREATE INDEX otps_expired ON public.otps USING btree (expires_at);

CREATE INDEX search_entries_words ON public.search_entries USING gin (words) WITH (fastupdate=off);

CREATE INDEX search_queue_aside ON public.search_queue USING btree (set_aside_at) WHERE (set_aside_at IS NOT NULL);

CREATE INDEX search_queue_newest ON public.search_queue USING btree (queued_at, id) WHERE (set_aside_at IS NULL);

CREATE INDEX sessions_expired ON public.sessions USING btree (expires_at);

CREATE INDEX shares_listed ON public.shares USING btree (user_id, created_at, id);

CREATE INDEX shares_of_room ON public.shares USING btree (user_id, chatroom_id);

CREATE INDEX shares_over ON public.shares USING btree (expires_at);

CREATE INDEX stripe_events_of_customer ON public.stripe_events USING btree (customer, received_at);

CREATE INDEX stripe_events_received ON public.stripe_events USING btree (received_at);

CREATE INDEX subscriptions_seen ON public.subscriptions USING btree (seen_at);

CREATE INDEX users_unproven ON public.users USING btree (created_at) WHERE (mobile_verified_at IS NULL);

CREATE TRIGGER messages_attachments AFTER DELETE ON public.messages FOR EACH ROW WHEN ((old.attachments IS NOT NULL)) EXECUTE FUNCTION public.drop_attachments();

CREATE TRIGGER pro_grants_entitle AFTER INSERT OR DELETE OR UPDATE ON public.pro_grants FOR EACH ROW EXECUTE FUNCTION public.entitle();

CREATE TRIGGER reply_ended AFTER UPDATE OF status ON public.messages FOR EACH ROW WHEN (((old.status = ANY (ARRAY['queued'::public.message_status, 'running'::public.message_status])) AND (new.status <> ALL (ARRAY['queued'::public.message_status, 'running'::public.message_status])))) EXECUTE FUNCTION public.reply_ended();

CREATE TRIGGER subscriptions_entitle AFTER INSERT OR DELETE OR UPDATE OF status, current_period_end, cancel_at, cancel_at_period_end, past_due_since, is_paid, grace, collection_pause ON public.subscriptions FOR EACH ROW EXECUTE FUNCTION public.entitle();

CREATE TRIGGER users_leave_stripe BEFORE DELETE ON public.users FOR EACH ROW EXECUTE FUNCTION public.leave_stripe();

ALTER TABLE ONLY public.attachment_pieces
    ADD CONSTRAINT attachment_pieces_attachment FOREIGN KEY (user_id, attachment_id) REFERENCES public.attachments(user_id, id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_chatroom FOREIGN KEY (user_id, chatroom_id) REFERENCES public.chatrooms(user_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.chatrooms
    ADD CONSTRAINT chatrooms_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.pro_grants
    ADD CONSTRAINT pro_grants_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.request_rates
    ADD CONSTRAINT request_rates_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.security_events
    ADD CONSTRAINT security_events_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.shares
    ADD CONSTRAINT shares_chatroom FOREIGN KEY (user_id, chatroom_id) REFERENCES public.chatrooms(user_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.shares
    ADD CONSTRAINT shares_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.stripe_customers
    ADD CONSTRAINT stripe_customers_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.stripe_customers(user_id) ON DELETE CASCADE;
