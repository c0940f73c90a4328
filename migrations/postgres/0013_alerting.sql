alter table delivery add column alert_id text;
alter table delivery add column group_key text not null default '';
alter table delivery add column held bigint not null default 0;
alter table delivery add column repeat_us bigint;
alter table delivery add column merged_into text;
create index delivery_alert on delivery (alert_id, endpoint, created_us);
update delivery set alert_id = body::jsonb #>> '{data,alarm_id}' where event like 'drift.alarm.%';

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

comment on column delivery.alert_id is 'the alert that it tells of';
comment on column delivery.group_key is 'messages to one endpoint with the same key may be told together; empty: each by itself';
comment on column delivery.held is '1 while its first attempt waits for others of its group until next_attempt_us';
comment on column delivery.repeat_us is 'told again after so long while the alert fires and nobody has taken it on';
comment on column delivery.merged_into is 'the delivery that told it too';
comment on table silence is 'alerts it covers are not told of while it lasts';
comment on table alert_acknowledgement is 'who has taken an alert on';
comment on table endpoint_circuit is 'endpoints that fail: from the fifth failure in a row on they are left alone for a while';

create view driftd_v1.silence as
    select silence_id, model, task, cause, segment, severity, comment, created_by,
           to_timestamp(created_us / 1e6) as created_at, to_timestamp(starts_us / 1e6) as starts_at,
           to_timestamp(ends_us / 1e6) as ends_at
    from silence;
