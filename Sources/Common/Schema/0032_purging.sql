-- Numbers to which no code was sent for long are found without reading those to which one was.
create index otp_sends_over on otp_sends (coalesce(sent[1], '-infinity'::timestamptz));
