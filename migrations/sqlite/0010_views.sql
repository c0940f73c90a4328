-- The views of driftd_v1 are for Grafana, which reads Postgres: SQLite has nothing to change.
select 1;
