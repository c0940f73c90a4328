-- What the latest window says stands beside it: joined, a planner may read all windows to find one a model.
alter table standing add column latest_end_us bigint not null default 0;
alter table standing add column verdict text not null default 'insufficient_data';
alter table standing add column ln_evidence double precision;
alter table standing add column parts text not null default '[]';
alter table standing add column guarantee text not null default '{}';
update standing set
    latest_end_us = (select r.end_us from report r where r.model = standing.model
        and r.start_us = standing.latest_start_us and r.reference_id = standing.latest_reference_id),
    verdict = (select r.verdict from report r where r.model = standing.model
        and r.start_us = standing.latest_start_us and r.reference_id = standing.latest_reference_id),
    ln_evidence = (select r.ln_evidence from report r where r.model = standing.model
        and r.start_us = standing.latest_start_us and r.reference_id = standing.latest_reference_id),
    parts = (select r.parts from report r where r.model = standing.model
        and r.start_us = standing.latest_start_us and r.reference_id = standing.latest_reference_id),
    guarantee = (select r.guarantee from report r where r.model = standing.model
        and r.start_us = standing.latest_start_us and r.reference_id = standing.latest_reference_id);

create index alert_firing on alert (model) where state = 'firing';
