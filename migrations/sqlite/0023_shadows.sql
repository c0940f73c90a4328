-- A candidate beside the current model: what flushes counted of it, and what is known of it in all.
create table shadow_partial (
    partial_id text primary key,
    model text not null,
    reference_id text not null,
    candidate_id text not null,
    body blob not null,
    flushed_us bigint not null
);
create index shadow_partial_candidate on shadow_partial (model, reference_id, candidate_id);

create table shadow (
    model text not null,
    reference_id text not null,
    candidate_id text not null,
    version bigint not null,
    begun_us bigint not null,
    updated_us bigint not null,
    verdict text not null,
    labels_needed bigint,
    report text not null,
    tally blob not null,
    primary key (model, reference_id, candidate_id)
);
create index shadow_updated on shadow (model, updated_us);
