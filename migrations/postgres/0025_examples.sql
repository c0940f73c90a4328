-- Redacted texts that show what is new, where a model's `examples` are on; otherwise these tables stay empty.
create table example_partial (
    partial_id text primary key,
    model text not null,
    body bytea not null,
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

comment on table example_partial is 'redacted texts of one flush and window: gone once the window is judged, whether or not it raises an alert';
comment on table alert_example is 'redacted texts that show what an alert is about';
comment on column alert_example.ordinal is 'the most telling first';
comment on column alert_example.window_us is 'start of the window in which the text was seen';
comment on column alert_example.reasons is 'cells that hold more than they should, as JSON';
comment on column alert_example.until_us is 'removed by maintenance from then on';
comment on column model.examples is 'texts kept for an alert; 0 where they are off';
