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
