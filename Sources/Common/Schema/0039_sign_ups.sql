-- What was set before a number was proven does not count, whoever set it. signed_up_from is no longer read; executables of the
-- previous version, which compare it, find nothing in it.
update users set password_hash = null, signed_up_from = null where mobile_verified_at is null;

-- Finds the sign-ups that nobody has proven.
create index users_unproven on users (created_at) where mobile_verified_at is null;
