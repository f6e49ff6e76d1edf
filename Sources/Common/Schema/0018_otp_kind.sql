-- A one-time password to be sent. Its owner is no user but a number, and its lane its own.
alter type job_kind add value 'otp';
