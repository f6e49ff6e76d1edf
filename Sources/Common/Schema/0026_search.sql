-- Search, in any language, over one user's messages and titles.
--
-- Postgres's own parsers know no words in scripts without spaces, and its dictionaries are each for one language. So text is
-- taken apart here: words as they are, without accents and in lower case, and where a script has no spaces, each character
-- with the one after it, of which a search asks for as many as follow each other.

-- What is compared: "Ｃafé" is "cafe".
create function search_fold(t text) returns text language sql immutable strict parallel safe as $$
    select lower(normalize(regexp_replace(normalize(t, NFKD), '[\u0300-\u036f]+', '', 'g'), NFKC))
$$;

-- What words are of, in scripts with spaces, as a part of a bracket expression.
create function search_letters() returns text language sql immutable parallel safe as $$
    select '0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0588\u058b-\u05bd\u05bf\u05c1-\u060b\u060d-\u061a\u061c-\u061e'
        || '\u0620-\u063f\u0641-\u06d3\u06d5-\u0963\u0966-\u0dff\u0f00-\u0fff\u10a0-\u167f\u1681-\u177f\u1800-\u1fff'
        || '\u2c00-\u2dff\ua000-\uabff\ufb00-\ufdff\ufe70-\ufefe\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uffdc'
        || '\U00010000-\U0001efff'
$$;

-- The parts of a text: `run` is of a script without spaces (Thai to Khmer, Chinese, Japanese, Korean, emoji), `word` of any other,
-- `gap` is a character between them.
create function search_parts(t text) returns table (n bigint, run text, word text, gap text)
language sql immutable strict parallel safe as $$
    select p.n, p.m[1], p.m[2], p.m[3] from regexp_matches(t,
        '([\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u302f\u3031-\u303c\u3041-\u30fa'
        || '\u30fc-\u9fff\uac00-\ud7af\uf900-\ufaff\U0001f000-\U0001faff\U00020000-\U0003ffff]+)'
        || '|([' || search_letters() || ']+)|(.)', 'g') with ordinality p (m, n)
$$;

-- The words of a text that are looked for. They begin with what tells the owner from others, so that each user's are together in
-- the index and a search reads no others. What comes after 16,000 characters is not found.
create function search_words(owner uuid, t text) returns tsvector language sql immutable parallel safe as $$
    select coalesce(string_agg(
        '''' || right(owner::text, 8) || left(p.word, 64) || ''':' || least(p.n, 16383), ' '), '')::tsvector
    from (
        select w.word, row_number() over (order by p.n, w.n) as n
        from search_parts(left(search_fold(left(t, 16000)), 16000)) p
        cross join lateral (
            select 1 as n, p.word where p.word is not null
            union all
            select c.n, c.c || coalesce(lead(c.c) over (order by c.n), '')
            from regexp_split_to_table(p.run, '') with ordinality c (c, n)
        ) w
    ) p
$$;

-- A word in a code that websearch_to_tsquery takes for one.
create function search_code(kind text, word text) returns text language sql immutable parallel safe as $$
    select kind || encode(convert_to(left(word, 64), 'UTF8'), 'hex')
$$;

-- What is asked for in the syntax of websearch_to_tsquery, which would take words apart in its own way. Words of three letters and
-- more are found where others begin with them, unless they are quoted. NULL where there is nothing to look for: no word at all,
-- or only such as must not be there.
create function search_query(owner uuid, t text) returns tsquery language plpgsql immutable strict parallel safe as $$
declare
    part record;
    asked text := '';
    quoted boolean := false;
    starts boolean := true;
    found tsquery;
begin
    for part in select * from search_parts(search_fold(t)) order by n loop
        if part.gap = '"' then
            quoted := not quoted;
            asked := asked || '"';
            starts := false;
        elsif part.gap is not null then
            asked := asked || case when part.gap = '-' and starts and not quoted then '-' else ' ' end;
            starts := part.gap ~ '\s';
        else
            asked := asked || case
                when part.word = 'or' and not quoted then 'or'
                when length(part.word) > 2 and not quoted or length(part.run) = 1
                    then search_code('p', coalesce(part.word, part.run))
                when part.word is not null then search_code('w', part.word)
                else (
                    select case when quoted then pairs else '"' || pairs || '"' end
                    from (
                        select string_agg(search_code('w', substr(part.run, i, 2)), ' ' order by i) as pairs
                        from generate_series(1, length(part.run) - 1) i
                    ) p
                )
            end || ' ';
            starts := false;
        end if;
    end loop;
    asked := replace(websearch_to_tsquery('simple', asked)::text, '''or''', '''' || search_code('w', 'or') || '''');
    for part in select distinct m[1] as kind, m[2] as code from regexp_matches(asked, '''([pw])([0-9a-f]+)''', 'g') m loop
        asked := replace(asked, '''' || part.kind || part.code || '''',
            '''' || right(owner::text, 8) || convert_from(decode(part.code, 'hex'), 'UTF8') || ''''
            || case part.kind when 'p' then ':*' else '' end);
    end loop;
    found := asked::tsquery;
    return case when querytree(found) not in ('', 'T') then found end;
end
$$;

-- A piece of a text, around the first of what was asked for, as HTML in which that is marked.
create function search_snippet(t text, asked text) returns text language plpgsql immutable parallel safe as $$
declare
    folded text := search_fold(t);
    runs text;
    words text; -- as they begin
    place int;
    shown text;
begin
    select string_agg(p.run, '|'),
        string_agg(p.word || case when length(p.word) > 2 then '' else '(?![' || search_letters() || '])' end, '|')
            filter (where p.word <> 'or')
    into runs, words from search_parts(search_fold(asked)) p;
    place := strpos(folded, coalesce(
        (regexp_match(folded, concat_ws('|', runs, '(?:^|[^' || search_letters() || '])(?:' || words || ')')))[1], folded));
    place := case when place < 80 then 1 else place - 60 end;
    shown := substr(t, place, 240);
    return concat(
        case when place > 1 then '…' end,
        (
            select string_agg(case
                when p.run is not null then
                    case when runs is null then p.run else regexp_replace(p.run, '(' || runs || ')', '<mark>\1</mark>', 'g') end
                when p.word is not null then
                    case when search_fold(p.word) ~ ('^(?:' || words || ')') then '<mark>' || p.word || '</mark>' else p.word end
                when p.gap ~ '\s' then ' '
                else replace(replace(replace(replace(replace(
                    p.gap, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;')
            end, '' order by p.n)
            from search_parts(shown) p
        ),
        case when place + 240 <= length(t) then '…' end);
end
$$;

-- The words of messages that are finished.
create table search_entries (
    user_id uuid not null,
    chatroom_id uuid not null,
    message_id uuid not null,
    words tsvector not null,
    primary key (user_id, chatroom_id, message_id)
);
-- What is pending in an index with fastupdate is read by every search.
create index search_entries_words on search_entries using gin (words) with (fastupdate = off);
-- Titles are written seldom enough to be there at once.
alter table chatrooms add title_words tsvector generated always as (search_words(user_id, title)) stored;
create index chatrooms_title_words on chatrooms using gin (title_words) with (fastupdate = off);

-- Replies that have ended. The worker makes entries for them and for what they answer, so that who sends a message does not
-- wait for that.
create table search_queue (
    user_id uuid not null,
    chatroom_id uuid not null,
    id uuid not null,
    primary key (user_id, chatroom_id, id)
);
create index search_queue_newest on search_queue (id);

create function reply_ended() returns trigger language plpgsql as $$
begin
    insert into search_queue values (new.user_id, new.chatroom_id, new.id) on conflict do nothing;
    return null;
end
$$;
create trigger reply_ended after update of status on messages for each row
when (old.status in ('queued', 'running') and new.status not in ('queued', 'running')) execute function reply_ended();

insert into search_queue
select user_id, chatroom_id, id from messages where role = 'model' and status not in ('queued', 'running');

-- Makes entries for so many replies, the newest first, and for what they answer, which has their time. How many there were.
--
-- Messages are locked, so that whoever deletes one at that moment finds its entry.
create function fill_search(replies int) returns int language plpgsql as $$
declare taken search_queue[];
begin
    with newest as (
        select user_id, chatroom_id, id from search_queue order by id desc limit replies for update skip locked
    ), gone as (
        delete from search_queue q using newest n
        where q.user_id = n.user_id and q.chatroom_id = n.chatroom_id and q.id = n.id returning q.*
    )
    select array_agg(gone::search_queue) into taken from gone;
    insert into search_entries (user_id, chatroom_id, message_id, words)
    select m.user_id, m.chatroom_id, m.id, search_words(m.user_id, m.content)
    from unnest(taken) r
    cross join lateral (
        select r.id
        union all
        select q.id from (
            select q.id, q.role, q.created_at from messages q
            where q.user_id = r.user_id and q.chatroom_id = r.chatroom_id and q.id <= r.id order by q.id desc limit 8
        ) q
        where q.role = 'user' and q.created_at = (
            select a.created_at from messages a
            where a.user_id = r.user_id and a.chatroom_id = r.chatroom_id and a.id = r.id)
    ) said
    join messages m on m.user_id = r.user_id and m.chatroom_id = r.chatroom_id and m.id = said.id
    where m.content <> ''
    for key share of m
    on conflict do nothing;
    return coalesce(cardinality(taken), 0);
end
$$;
