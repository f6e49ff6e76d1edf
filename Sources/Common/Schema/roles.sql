-- Who may do what: applied at each migration, by whoever migrates (Roles.swift).
--
-- The role of an endpoint, chat-NAME, may connect and call the functions of its own file. The worker's and the operator's may read and write
-- rows. PUBLIC may do nothing. Roles are made where the migrator may make them; the rights of those that are there are made right.
--
-- An endpoint's role gets rights only where it can get no others: where PUBLIC may make objects, it could put some in the place of those that
-- functions name; and so could one that has attributes or belongs to another role (Roles.remarks tells of such).
do $$
declare
    is_superuser boolean := (select r.rolsuper from pg_roles r where r.rolname = current_user);
    makes_roles boolean := (select r.rolsuper or r.rolcreaterole from pg_roles r where r.rolname = current_user);
    owner name := (select t.tableowner from pg_tables t where t.schemaname = 'public' and t.tablename = 'migrations');
    wanted name[] := array(select 'chat-' || f.file from functions f where f.file not like 'shared/%')
        || '{chat-worker,chat-operator}'::name[];
    is_closed boolean;
    role name;
    change record;
begin
    perform set_config('search_path', 'public', true);
    if makes_roles then
        foreach role in array wanted loop
            begin
                if not exists (select from pg_roles r where r.rolname = role) then execute format('create role %I login', role); end if;
            exception when duplicate_object or unique_violation then
                null; -- Whoever migrates another database of this server made it.
            end;
            if is_superuser and exists (
                select from pg_roles r where r.rolname = role
                    and (r.rolsuper or r.rolcreatedb or r.rolcreaterole or r.rolreplication or r.rolbypassrls))
            then
                execute format('alter role %I nosuperuser nocreatedb nocreaterole noreplication nobypassrls', role);
            end if;
            -- An operator may well belong to others, such as pg_monitor.
            for change in
                select m.roleid::regrole as of from pg_auth_members m
                where m.member = to_regrole(quote_ident(role)) and role <> 'chat-operator'
            loop
                begin
                    execute format('revoke %s from %I', change.of, role);
                exception when insufficient_privilege then
                    null; -- Then the role gets no rights.
                end;
            end loop;
        end loop;
    end if;

    if is_superuser then
        if not has_schema_privilege(owner, 'public', 'usage') then
            execute format('grant usage, create on schema public to %I', owner);
        end if;
        -- What would let a role keep something, or hold up others, in a database where it may make nothing.
        for change in
            select 'language' as kind, l.lanname::text as name, 'usage' as privilege, '{}'::name[] || owner as holders
            from pg_language l where l.lanname = 'plpgsql'
            union all
            select 'function', p.oid::regprocedure::text, 'execute', '{chat-worker,chat-operator}'::name[] || owner
            from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ '^pg_(try_)?advisory_'
            union all
            select 'function', p.oid::regprocedure::text, 'execute', '{}'
            from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ '^(lo_|lowrite$)'
        loop
            if (case change.kind
                when 'language' then has_language_privilege('public', change.name, 'usage')
                else has_function_privilege('public', change.name, 'execute') end)
            then
                execute format('revoke %s on %s %s from public', change.privilege, change.kind, change.name);
            end if;
            foreach role in array change.holders loop
                if to_regrole(quote_ident(role)) is not null and not (case change.kind
                    when 'language' then has_language_privilege(role, change.name, 'usage')
                    else has_function_privilege(role, change.name, 'execute') end)
                then
                    execute format('grant %s on %s %s to %I', change.privilege, change.kind, change.name, role);
                end if;
            end loop;
        end loop;
    else
        perform set_config('role', owner, true);
    end if;
    execute format('alter default privileges for role %I revoke execute on functions from public', owner);
    execute format('alter default privileges for role %I revoke usage on types from public', owner);

    is_closed := not exists (
        select from pg_namespace n, pg_database d where n.nspname = 'public' and d.datname = current_database() and (
            has_schema_privilege('public', n.oid, 'create') and not pg_has_role(n.nspowner, 'usage')
            or has_database_privilege('public', d.oid, 'temporary') and not pg_has_role(d.datdba, 'usage')));

    -- Of columns nobody has rights by themselves.
    for change in
        select distinct c.oid::regclass as name, case when a.grantee = 0 then 'public' else a.grantee::regrole::text end as grantee
        from pg_attribute t join pg_class c on c.oid = t.attrelid cross join lateral aclexplode(t.attacl) a
        where c.relnamespace = 'public'::regnamespace and pg_has_role(c.relowner, 'usage')
            and (a.grantee = 0 or a.grantee in (select r.oid from pg_roles r where r.rolname like 'chat-%'))
    loop
        execute format('revoke all on %s from %s', change.name, change.grantee);
    end loop;

    for change in
        with roles as (
            select r.oid, r.rolname as name, f.makes
            from pg_roles r left join functions f on r.rolname = 'chat-' || f.file
            where r.rolname = any(wanted) and (f.file is null or is_closed
                and not (r.rolsuper or r.rolcreatedb or r.rolcreaterole or r.rolreplication or r.rolbypassrls)
                and not exists (select from pg_auth_members m where m.member = r.oid))
        ), objects as (
            select 'database' as kind, quote_ident(d.datname) as name, d.datdba as owner, d.oid,
                'system' as schema, coalesce(d.datacl, acldefault('d', d.datdba)) as acl
            from pg_database d where d.datname = current_database()
            union all
            select 'schema', n.nspname, n.nspowner, n.oid, n.nspname, coalesce(n.nspacl, acldefault('n', n.nspowner))
            from pg_namespace n where n.nspname in ('public', 'api')
            union all
            select case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass::text, c.relowner, c.oid, c.relnamespace::regnamespace::text,
                coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
            from pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relnamespace in ('public'::regnamespace, 'api'::regnamespace)
            union all
            select 'routine', p.oid::regprocedure::text, p.proowner, p.oid, p.pronamespace::regnamespace::text,
                coalesce(p.proacl, acldefault('f', p.proowner))
            from pg_proc p where p.pronamespace in ('public'::regnamespace, 'api'::regnamespace)
            union all
            select 'type', t.oid::regtype::text, t.typowner, t.oid, t.typnamespace::regnamespace::text,
                coalesce(t.typacl, acldefault('T', t.typowner))
            from pg_type t where t.typtype in ('c', 'd', 'e', 'r') and t.typnamespace in ('public'::regnamespace, 'api'::regnamespace)
        ), theirs as (
            select r.oid as grantee, o.kind, o.name, p.privilege
            from roles r cross join objects o cross join lateral unnest(case
                when o.kind = 'database' then '{connect}'
                when o.kind = 'schema' then case when (o.name = 'api') = (r.makes is not null) then '{usage}' end
                when o.kind = 'routine' and r.makes is not null then
                    case when exists (select from unnest(r.makes) m where to_regprocedure(m) = o.oid) then '{execute}' end
                when r.makes is not null or o.schema = 'api' then '{}'
                when o.kind = 'routine' then '{execute}'
                when o.kind = 'sequence' then '{usage,select,update}'
                when o.kind = 'table' and o.name in ('migrations', 'functions') then '{select}'
                when o.kind = 'table' then '{select,insert,update,delete}'
            end::text[]) p (privilege)
        ), actual as (
            select a.grantee, o.kind, o.name, lower(a.privilege_type) as privilege
            from objects o cross join lateral aclexplode(o.acl) a
            where a.grantee <> o.owner and (a.grantee = 0 or a.grantee in (select r.oid from pg_roles r where r.rolname like 'chat-%'))
        ), changes as (
            select 'grant' as verb, 'to' as word, t.* from (select * from theirs except select * from actual) t
            union all
            select 'revoke', 'from', a.* from (select * from actual except select * from theirs) a
        )
        select format('%s %s on %s %s %s %s', c.verb, c.privilege, c.kind, c.name, c.word,
            case when c.grantee = 0 then 'public' else c.grantee::regrole::text end) as command
        from changes c join objects o using (kind, name) where pg_has_role(o.owner, 'usage')
    loop
        execute change.command;
    end loop;
end
$$;
