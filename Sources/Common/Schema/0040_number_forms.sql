-- Numbers have one form. Those that were stored with an international prefix are renamed, the proven and then the oldest first; where
-- another account has the normal form, both stay, and each is found as it was written. What counts the codes and the wrong passwords
-- of a number is at most a day old and starts again.
do $$
declare
    w record;
begin
    for w in
        select id, mobile_verified_at is not null as is_proven,
            '+' || regexp_replace(mobile, '^\+(00|011)', '') as normal
        from users where mobile ~ '^\+(00[1-9][0-9]{5}|011[1-9][0-9]{9})'
        order by mobile_verified_at is null, created_at
    loop
        delete from users where mobile = w.normal and mobile_verified_at is null and w.is_proven;
        update users set mobile = w.normal where id = w.id and not exists (select from users o where o.mobile = w.normal);
    end loop;
end
$$;
