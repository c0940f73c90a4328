-- A partition may be begun anew (a topic was deleted and made again), may lose records to retention, and is idle only
-- where a collector has seen its end.
alter table position add column generation bigint not null default 0;
alter table position add column idle_us bigint;

create table position_closed (
    topic text not null,
    partition bigint not null,
    generation bigint not null,
    first_offset bigint not null,
    next_offset bigint not null,
    folded bigint not null,
    set_aside bigint not null,
    dead_lettered bigint not null,
    gaps bigint not null,
    closed_us bigint not null,
    primary key (topic, partition, generation)
);

create table topic (
    name text primary key,
    partitions bigint not null,
    seen_us bigint not null
);

create table gap (
    topic text not null,
    partition bigint not null,
    generation bigint not null,
    from_offset bigint not null,
    to_offset bigint,
    reason text not null,
    after_us bigint,
    until_us bigint,
    found_us bigint not null,
    announced_us bigint,
    primary key (topic, partition, generation, from_offset)
);
create index gap_unannounced on gap (found_us) where announced_us is null;

alter table window_partial add column late bigint not null default 0;
alter table window_partial add column records bigint not null default 0;
alter table window_partial add column flushed_us bigint not null default 0;
alter table window_partial add column trace text;

create table expired (
    model text primary key,
    windows bigint not null,
    records bigint not null
);

alter table report add column incomplete bigint not null default 0;
alter table report add column late_records bigint not null default 0;

comment on column position.generation is 'how often the topic was seen to have been created anew';
comment on column position.idle_us is 'when a collector last confirmed that there is nothing after next_offset, and has not been for a while';
comment on table position_closed is 'ledgers of partitions whose topic was created anew';
comment on table topic is 'how many partitions each topic has: one that was never read holds windows open';
comment on table gap is 'records lost before they were read: retention, or a topic created anew (to_offset unknown)';
comment on column window_partial.late is '1 for records that came after their window had closed by their own partition';
comment on table expired is 'what retention has removed, so that the ledger still adds up';
comment on column report.incomplete is '1 where records of the window may lie in a gap';

create or replace view driftd_v1.window as
    select model, reference_id, to_timestamp(start_us / 1e6) as window_start, to_timestamp(end_us / 1e6) as window_end,
           records, revision, verdict, ln_evidence, ln_threshold, exp(least(ln_evidence - ln_threshold, 300)) as evidence_ratio,
           incomplete = 1 as incomplete, late_records
    from report;
create view driftd_v1.gap as
    select topic, partition, generation, from_offset, to_offset, reason, to_timestamp(found_us / 1e6) as found_at
    from gap;
