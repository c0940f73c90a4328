-- What is told of a task beside its alerts: how its labels come, what harm is estimated. JSON.
alter table task_performance add column notices text not null default '{}';
