-- Skews of a version: which part of production differs, and the versions that records name.
alter table alert add column cause_part text;
alter table alert add column versions text not null default '[]';
