alter table alert add column evidence text not null default '[]';
