-- How far the time of a request's alerts reached when its model's latest window was judged, as long as it was open.
alter table retraining_request add column covers_until_us bigint;
