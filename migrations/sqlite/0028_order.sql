-- The order in which messages were written, which is the order in which an endpoint gets them: windows of one round
-- share their time. Rows from before keep the order that they had; at the same moment an end comes last.
alter table delivery add column place bigint not null default 0;
update delivery set place = old.place from (
    select delivery_id, row_number() over (order by created_us, case event when 'drift.alarm.firing' then 0
        when 'drift.alarm.resolved' then 2 else 1 end, delivery_id) as place
    from delivery) as old
where old.delivery_id = delivery.delivery_id;
create index delivery_order on delivery (state, endpoint, place);
create index delivery_place on delivery (place);
create trigger delivery_place after insert on delivery begin
    update delivery set place = (select max(place) + 1 from delivery) where delivery_id = new.delivery_id;
end;
