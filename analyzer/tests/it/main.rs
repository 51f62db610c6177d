//! The analyzer's integration tests, one binary.

mod asked;
mod columns;
mod deceptive;
mod diff;
mod fuzz;
mod golden;
mod hostile;
mod index;
mod packages;
mod reconcile;
mod schemas;
mod shell;
mod sql;
mod summary;
mod threads;
mod twins;
mod waste;
