-- SQLite has no tables by day: retention deletes rows.
alter table report add column rolled bigint not null default 0;
drop index report_slot;
create index report_unrolled on report (model, reference_id, start_us) where rolled = 0;

create table rollup (
    model text not null,
    reference_id text not null,
    grain text not null,
    start_us bigint not null,
    end_us bigint not null,
    windows bigint not null,
    records bigint not null,
    incomplete bigint not null,
    summary blob not null,
    statistics text not null,
    built_us bigint not null,
    rolled bigint not null default 0,
    primary key (model, grain, start_us, reference_id)
);
create index rollup_unrolled on rollup (model, reference_id, start_us) where rolled = 0;
