//! A heap dump of a Python process as a value: what holds the memory, and why.
//!
//! [`load`](load::load) reads a file into a [`Heap`](heap::Heap); a [`View`](heap::View) is that heap with what somebody
//! deleted or marked; [`graph`] searches it; [`naming`] says what references are called; [`owner`] says whose an object
//! is. [`answers`] are the answers to the questions that people ask, as values.
//!
//! Nothing here prints, ends the process, knows a command line or SQL, or keeps a setting for the whole process: the
//! program `heapsee` does that. Nothing here touches a live process or links Python.
//!
//! # What is stable
//!
//! An answer has the same fields as its JSON. The answers, [`load::load`], [`heap::View`] and [`answers::study::Study`]
//! change only together with the version in an answer's `schema`. The rest may change with any release.
//!
//! ```
//! use std::sync::Arc;
//!
//! use heapsee_heap::answers::study::Study;
//! use heapsee_heap::answers::suspects::{Dump, Suspects};
//! use heapsee_heap::answers::top::{By, Top};
//! use heapsee_heap::heap::View;
//! use heapsee_heap::load::{LoadOptions, load};
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
//! assert_eq!(suspects.suspects[0].kind.name(), "object");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

pub mod answers;
pub mod graph;
pub mod heap;
pub mod load;
pub mod naming;
pub mod owner;
mod suspects;
mod twins;
