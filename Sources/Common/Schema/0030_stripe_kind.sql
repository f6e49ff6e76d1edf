-- Something to be asked of Stripe, or told it. Its owner is no user but the customer there, and its lane its own.
alter type job_kind add value 'stripe';
