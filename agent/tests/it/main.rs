//! The agent against workers that answer as told, and processes that must not be touched.

mod cgroups;
mod collect;
mod crashes;
mod credentials;
mod daemon;
mod found;
mod full;
mod harness;
mod interrupted;
mod keeping;
mod listing;
mod refused;
mod s3;
mod shipping;
mod slow;
mod tracer;
