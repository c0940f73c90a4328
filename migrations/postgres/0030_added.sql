-- With how many partitions a topic was first read: one that nobody has read and that is beyond them was added since,
-- and everything in it came since.
alter table topic add column first_partitions bigint not null default 0;
update topic set first_partitions = partitions;
comment on column topic.first_partitions is 'partitions when the topic was first read';
