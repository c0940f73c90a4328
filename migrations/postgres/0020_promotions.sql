-- Versions that a model registry has put in the place of the configured ones.
create table promotion (
    delivery_id text primary key,
    model text not null,
    at_us bigint not null,
    taken_us bigint not null,
    registered_version text not null,
    version text not null,
    config_version text not null,
    manifest text not null,
    reference_id text not null
);
create index promotion_model on promotion (model, at_us);
