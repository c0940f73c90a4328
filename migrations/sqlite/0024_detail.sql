-- What was wrong with an attempt, in words, or the beginning of what the receiver said.
alter table delivery_attempt add column detail text;
