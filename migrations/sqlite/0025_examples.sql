-- Redacted texts that show what is new, where a model's `examples` are on; otherwise these tables stay empty.
create table example_partial (
    partial_id text primary key,
    model text not null,
    body blob not null,
    until_us bigint not null
);

create table alert_example (
    alert_id text not null,
    ordinal bigint not null,
    model text not null,
    window_us bigint not null,
    text text not null,
    pair text,
    reasons text not null,
    found_us bigint not null,
    until_us bigint not null,
    primary key (alert_id, ordinal)
);
create index alert_example_until on alert_example (until_us);

alter table model add column examples bigint not null default 0;
