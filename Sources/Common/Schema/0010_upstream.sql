-- Keys of Gemini that are held back for a model, because it said so, for all workers. A key is known by a hash of it.
create table upstream_holds (
    key text not null,
    model text not null,
    until timestamptz not null,
    reason text not null,
    primary key (key, model)
);

-- How long a model's replies took lately: an average that forgets.
create table model_times (
    model text primary key,
    milliseconds float8 not null,
    updated_at timestamptz not null default now()
);
