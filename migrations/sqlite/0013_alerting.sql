alter table delivery add column alert_id text;
alter table delivery add column group_key text not null default '';
alter table delivery add column held bigint not null default 0;
alter table delivery add column repeat_us bigint;
alter table delivery add column merged_into text;
create index delivery_alert on delivery (alert_id, endpoint, created_us);
update delivery set alert_id = json_extract(body, '$.data.alarm_id') where event like 'drift.alarm.%';

create table silence (
    silence_id text primary key,
    model text,
    task text,
    cause text,
    segment text,
    severity text,
    comment text not null,
    created_by text not null,
    created_us bigint not null,
    starts_us bigint not null,
    ends_us bigint not null
);
create index silence_ends on silence (ends_us);

create table alert_acknowledgement (
    alert_id text primary key references alert (alert_id),
    at_us bigint not null,
    by_whom text not null,
    comment text not null
);

create table endpoint_circuit (
    endpoint text primary key,
    failures bigint not null,
    open_until_us bigint not null,
    reason text not null
);
