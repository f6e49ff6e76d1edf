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
