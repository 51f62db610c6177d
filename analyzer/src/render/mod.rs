//! Turning reports into text and JSON. Nothing here computes, and nothing here knows where output goes.

pub mod grid;
pub mod json;
pub mod text;
