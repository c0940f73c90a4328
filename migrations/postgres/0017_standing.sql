-- What the fleet shows of a model is one row: adding up all of its windows takes too long. Indexes for lists over
-- all models and for what is told live.
create table standing (
    model text primary key,
    windows bigint not null,
    records bigint not null,
    latest_start_us bigint not null,
    latest_reference_id text not null
);
insert into standing (model, windows, records, latest_start_us, latest_reference_id)
    select t.model, t.windows + coalesce(e.windows, 0), t.records + coalesce(e.records, 0), t.latest_start_us,
           (select r.reference_id from report r where r.model = t.model and r.start_us = t.latest_start_us
            order by r.judged_us desc, r.reference_id limit 1)
    from (select model, count(*) as windows, cast(sum(records) as bigint) as records, max(start_us) as latest_start_us
          from report group by model) t
    left join expired e on e.model = t.model;

create index alert_opened on alert (opened_us);
create index alert_updated on alert (updated_us);
create index retraining_request_created on retraining_request (created_us);
create index retraining_move_at on retraining_move (at_us);
create index delivery_attempt_at on delivery_attempt (at_us);

comment on table standing is 'how far a model is: its latest judged window, and how many windows and records it ever had';
