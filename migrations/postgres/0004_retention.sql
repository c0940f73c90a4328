-- Reports and statistics are kept in one table a day of event time, so that retention drops tables.
drop view driftd_v1.window;
drop view driftd_v1.statistic;

alter table report rename to report_before;
alter table report_before add column rolled bigint not null default 0;
alter table statistic rename to statistic_before;
create table report (like report_before including defaults including comments) partition by range (start_us);
create table statistic (like statistic_before including defaults including comments) partition by range (start_us);

do $$
declare
    day bigint;
begin
    for day in
        select distinct floor(start_us / 86400000000.0)::bigint from report_before
        union select distinct floor(start_us / 86400000000.0)::bigint from statistic_before
    loop
        execute format('create table report_d%s partition of report for values from (%s) to (%s)',
            day, day * 86400000000, (day + 1) * 86400000000);
        execute format('create table statistic_d%s partition of statistic for values from (%s) to (%s)',
            day, day * 86400000000, (day + 1) * 86400000000);
    end loop;
end $$;
insert into report select * from report_before;
insert into statistic select * from statistic_before;
drop table report_before;
drop table statistic_before;

alter table report add primary key (model, start_us, reference_id);
create index report_unrolled on report (model, reference_id, start_us) where rolled = 0;
alter table statistic add primary key (model, scope, task, segment, signal, start_us, reference_id);
create index statistic_window on statistic (model, start_us);

create table rollup (
    model text not null,
    reference_id text not null,
    grain text not null,
    start_us bigint not null,
    end_us bigint not null,
    windows bigint not null,
    records bigint not null,
    incomplete bigint not null,
    summary bytea not null,
    statistics text not null,
    built_us bigint not null,
    rolled bigint not null default 0,
    primary key (model, grain, start_us, reference_id)
);
create index rollup_unrolled on rollup (model, reference_id, start_us) where rolled = 0;

comment on table rollup is 'windows merged into hours and days, exactly: the sums that one window of that length would have';
comment on column report.rolled is '1 once the roll-up of its hour holds it as it is';
comment on column rollup.rolled is '1 once the roll-up of its day holds it as it is';

create view driftd_v1.window as
    select model, reference_id, to_timestamp(start_us / 1e6) as window_start, to_timestamp(end_us / 1e6) as window_end,
           records, revision, verdict, ln_evidence, ln_threshold, exp(least(ln_evidence - ln_threshold, 300)) as evidence_ratio,
           incomplete = 1 as incomplete, late_records
    from report;
create view driftd_v1.statistic as
    select model, reference_id, to_timestamp(start_us / 1e6) as window_start, to_timestamp(end_us / 1e6) as window_end,
           scope, nullif(task, '') as task, signal, n, statistic, degrees_of_freedom, exp(greatest(ln_p, -700)) as p_value, ln_p,
           ln_evidence, effect::jsonb as effect, nullif(segment, '') as segment, guarantee
    from statistic;
create view driftd_v1.rollup as
    select model, reference_id, grain, to_timestamp(start_us / 1e6) as rollup_start, to_timestamp(end_us / 1e6) as rollup_end,
           windows, records, incomplete = 1 as incomplete, statistics::jsonb as statistics
    from rollup;
