-- A candidate beside the current model: what flushes counted of it, and what is known of it in all.
create table shadow_partial (
    partial_id text primary key,
    model text not null,
    reference_id text not null,
    candidate_id text not null,
    body bytea not null,
    flushed_us bigint not null
);
create index shadow_partial_candidate on shadow_partial (model, reference_id, candidate_id);

create table shadow (
    model text not null,
    reference_id text not null,
    candidate_id text not null,
    version bigint not null,
    begun_us bigint not null,
    updated_us bigint not null,
    verdict text not null,
    labels_needed bigint,
    report text not null,
    tally bytea not null,
    primary key (model, reference_id, candidate_id)
);
create index shadow_updated on shadow (model, updated_us);

comment on table shadow_partial is 'counted by one flush, in the transaction that moved its positions; gone once it is added';
comment on table shadow is 'a candidate that answers a sample of the live inputs beside the current model';
comment on column shadow.version is 'rises with every change: who writes names the one that was read';
comment on column shadow.report is 'as `driftd gate` reports, with bounds that hold however often one looks';

create view driftd_v1.shadow as
    select s.model, s.reference_id, s.candidate_id, s.report::jsonb #>> '{candidate,version}' as candidate_version,
           s.verdict, s.labels_needed, (s.report::jsonb ->> 'rows')::bigint as records,
           to_timestamp(s.begun_us / 1e6) as begun_at, to_timestamp(s.updated_us / 1e6) as updated_at
    from shadow as s;
