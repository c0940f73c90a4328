-- How far the time of a request's alerts reached when its model's latest window was judged, as long as it was open.
alter table retraining_request add column covers_until_us bigint;
comment on column retraining_request.covers_until_us is 'end of the time of its alerts so far; what was sent stands in body';
