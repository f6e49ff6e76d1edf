-- What endpoints may call, and nothing else: a function each, in the file NAME.sql of its handler.
create schema api;

-- Who sent a request, by their access token; token_time is when it was made, in seconds since 1970.
create type caller as (user_id uuid, session_id uuid, token_time bigint);

-- A request that is carried out once, however often it is sent: its Idempotency-Key, its endpoint with the ids of its path, and a
-- hash of the rest.
create type once as (key text, endpoint text, body_hash text);

-- The files of functions, with a hash of the text that was applied last and the endpoints' functions that it makes (Functions.swift).
create table functions (
    file text primary key,
    hash text not null,
    makes text[] not null,
    applied_at timestamptz not null default now()
);

-- A question and the reply that is to come, as they are stored (store_turns). question is NULL where the reply is another one to a
-- question that is there; begun is the text that the reply goes on from.
create type turn as (
    user_id uuid, chatroom_id uuid, branch int, at timestamptz, day date,
    question uuid, content text, attachments uuid[], question_variant_of uuid,
    reply uuid, begun text, reply_variant_of uuid
);

-- How the message limits of a user stand, and whether there was a place for one more: verdict is NULL then. ahead is how many seconds
-- of the minute to come are taken.
create type place as (
    verdict text, tier text, used int, resets_at text, day_seconds int, ahead double precision
);

-- What is told of a turn, and kept for whoever repeats the request. number is that of the request where there are several. message is
-- the JSON of a question that was there before, begun what the reply goes on from; times are JSON, siblings those of the message that
-- has some, attachments the JSON of the question's.
create type turn_answer as (
    verdict text, number int, question uuid, reply uuid, at text, replied_at text, siblings text, attachments text, begun text,
    message text, tier text, used int, resets_at text, day_seconds int, ahead double precision
);

-- Where a queued reply stands (place_in_queue).
create type queue_place as (before bigint, running bigint, rooms bigint, is_whole boolean, calls bigint, seconds double precision);
