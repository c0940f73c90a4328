-- What a window's answers of a multi-label head count, so that each label can be told by itself: an encoded list,
-- empty for other heads.
alter table window_performance add column cells bytea not null default '';
