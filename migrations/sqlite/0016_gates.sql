-- What the gate said of the candidates that runs of retraining requests brought.
create table retraining_gate (
    request_id text not null references retraining_request (request_id),
    gate bigint not null,
    at_us bigint not null,
    verdict text not null,
    labels_needed bigint,
    pairs bigint not null,
    pairs_sha256 text not null,
    report text not null,
    primary key (request_id, gate)
);
