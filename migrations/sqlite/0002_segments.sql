-- SQLite cannot change a primary key: the table is written anew.
create table statistic_with_segment (
    model text not null,
    reference_id text not null,
    start_us bigint not null,
    end_us bigint not null,
    scope text not null,
    task text not null,
    segment text not null default '',
    signal text not null,
    n bigint not null,
    statistic double precision,
    degrees_of_freedom double precision,
    ln_p double precision,
    ln_e double precision,
    ln_evidence double precision,
    effect text not null,
    movers text not null,
    guarantee text not null default 'provisional',
    primary key (model, scope, task, segment, signal, start_us, reference_id)
);
insert into statistic_with_segment (model, reference_id, start_us, end_us, scope, task, signal, n, statistic,
    degrees_of_freedom, ln_p, ln_e, ln_evidence, effect, movers)
    select model, reference_id, start_us, end_us, scope, task, signal, n, statistic,
        degrees_of_freedom, ln_p, ln_e, ln_evidence, effect, movers from statistic;
drop table statistic;
alter table statistic_with_segment rename to statistic;
create index statistic_window on statistic (model, start_us);

alter table alert add column cause_segment text;
alter table model_reference add column kind text not null default 'fixed';

create table active_reference (
    model text primary key,
    reference_id text not null references model_reference (reference_id),
    activated_us bigint not null
);
