-- What else is done for a room: a title for it, and a summary of what no longer fits into its context.
alter type job_kind add value 'title';
alter type job_kind add value 'summary';
