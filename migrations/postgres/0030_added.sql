-- With how many partitions a topic was first read: one that nobody has read and that is beyond them was added since,
-- and everything in it came since. A table of its own, as processes of the version before go on reading the other.
create table topic_begun (
    name text primary key,
    partitions bigint not null
);
insert into topic_begun (name, partitions) select name, partitions from topic;
comment on table topic_begun is 'topics with their partitions when they were first read';
