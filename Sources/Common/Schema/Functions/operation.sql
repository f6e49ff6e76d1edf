-- A family of metrics in the text format of Prometheus (exposition format 0.0.4), with its samples.
create or replace function metric(name text, kind text, help text, samples text[]) returns text language plpgsql stable as $$
begin
    return format(E'# HELP chat_%s %s\n# TYPE chat_%s %s\n', name, help, name, kind)
        || coalesce((select string_agg(format(E'chat_%s%s\n', name, s), '') from unnest(samples) s where s is not null), '');
end
$$;

-- A sample: a value, and labels as names and values in turn. NULL where there is no value.
create or replace function sample(value float8, variadic labels text[] default '{}') returns text
language plpgsql stable as $$
declare pairs text[];
begin
    for n in 1..cardinality(labels) by 2 loop
        pairs := pairs || format(
            '%s="%s"', labels[n], replace(replace(replace(labels[n + 1], '\', '\\'), '"', '\"'), E'\n', '\n'));
    end loop;
    return coalesce('{' || array_to_string(pairs, ',') || '}', '') || ' ' || value;
end
$$;

-- Which part of a table is looked at to count its rows, in percent of its pages: all of a small one, of a large one a thousand pages.
create or replace function looked_at(part_of regclass) returns float8 language plpgsql stable as $$
begin
    return least(100, 100.0 * 1000 * current_setting('block_size')::int / greatest(pg_relation_size(part_of), 1));
end
$$;

-- What Prometheus is told of the queue.
create or replace function job_metrics() returns text language plpgsql stable as $$
declare
    counts text[];
    ages text[];
begin
    -- The jobs of each state, in the order of the index that is there for them: without it more than are counted would be read.
    with counted as (
        select j.kind, j.state, count(*) as count, min(j.run_at) as oldest
        from open_job_generations g cross join lateral (
            select * from (
                select kind, state, run_at from jobs where generation = g.number and state = 'ready' and kind = 'reply'
                order by user_id, lane, id limit 10000
            ) j
            union all
            select j.* from unnest(enum_range(null::job_kind)) k (kind) cross join lateral (
                select kind, state, run_at from jobs
                where generation = g.number and state = 'ready' and kind <> 'reply' and kind = k.kind order by run_at limit 10000
            ) j
            union all
            select * from (
                select kind, state, run_at from jobs where generation = g.number and state = 'waiting'
                order by run_at limit 10000
            ) j
            union all
            select * from (
                select kind, state, run_at from jobs
                where state <> 'ready' and (generation, state) >= (g.number, 'running')
                    and (generation, state) <= (g.number, 'running')
                order by generation, state, user_id, lane limit 10000
            ) j
        ) j
        group by j.kind, j.state
    )
    select
        array(
            select sample(coalesce(j.count, 0), 'kind', kind::text, 'state', state::text)
            from unnest(enum_range(null::job_kind)) k (kind) cross join unnest(enum_range(null::job_state)) s (state)
            left join counted j using (kind, state)
            order by kind, state),
        array(
            select sample(greatest(0, extract(epoch from now() - j.oldest)), 'kind', j.kind::text)
            from counted j where j.state = 'ready' order by j.kind)
    into counts, ages;
    return metric('jobs', 'gauge', 'Jobs by kind and state, of which 10000 are counted at most.', counts)
        || metric(
            'oldest_ready_job_seconds', 'gauge', 'For how long the oldest job that may begin has been waiting.', ages);
end
$$;
