-- The ledger adds up the records of every window: from an index it reads a few bytes of each, from the table also
-- their tallies' place.
create index report_records on report (model, records);
