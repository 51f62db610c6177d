//! Reading heap dumps of Python processes: what holds the memory, and why.
//!
//! `load` reads a file into a [`heap`]; [`graph`] searches it; [`naming`] says what references are called; `sql` and
//! `shell` let a person ask; `report` makes values, `render` turns them into text and JSON. Nothing here touches a live
//! process or links Python.
//!
//! # Answers from Rust
//!
//! What a verb of the program answers is a value of [`report`], with the same fields as its JSON. These values,
//! [`load::load`], [`heap::View`] and [`report::study::Study`] are the stable part of this library: they change only
//! together with the version in an answer's `schema`. The rest may change with any release.
//!
//! ```
//! use std::sync::Arc;
//!
//! use heapsee::heap::View;
//! use heapsee::load::{LoadOptions, load};
//! use heapsee::report::study::Study;
//! use heapsee::report::suspects::{Dump, Suspects};
//! use heapsee::report::top::{By, Top};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("worker.dump");
//! # std::fs::write(&path, r#"{"address": 16, "type": "bytes", "size": 900000, "len": 899967, "refs": []}"#)?;
//! let heap = load(&path, &LoadOptions::default())?;
//! let view = View::new(Arc::new(heap));
//!
//! // The one object that keeps most.
//! let top = Top::of(&Study::of(&view), By::Object, Some(1));
//! assert_eq!((top.items[0].type_name.as_str(), top.items[0].retained_bytes), ("bytes", 900_000));
//!
//! // What `heapsee suspects worker.dump --json --max-items 3` says.
//! let dump = Dump { name: "worker.dump".to_owned(), view: &view };
//! let suspects = Suspects::of(&[dump], None, Some(3));
//! println!("{}", serde_json::to_string(&suspects)?);
//! assert_eq!(suspects.suspects[0].kind, "object");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod commands;
pub mod exit;
pub mod graph;
pub mod heap;
pub mod load;
pub mod naming;
pub mod owner;
pub mod render;
pub mod report;
pub mod shell;
pub mod sql;
pub mod suspects;
pub mod twins;
