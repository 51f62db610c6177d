//! What makes a rule the one that it was: its trigger with all its settings, and the workers that it means. It is part of
//! the state on disk, so that a restart with a changed rule begins anew. How many dumps a rule takes, how far apart, and
//! its cooldown may change meanwhile.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::version_1;
use crate::config::Rule;

/// The identity of a rule, as it is kept on disk. Numbers are texts, so that they are read back as they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Identity {
    /// As it is written today.
    Settings {
        /// The name of the trigger's kind.
        trigger: String,
        /// The trigger's settings, by key.
        settings: BTreeMap<String, String>,
        /// The patterns of `[rule.select]`, by key.
        select: BTreeMap<String, String>,
    },
    /// As states of version 1 have it.
    Version1(String),
}

impl Identity {
    /// That of a rule.
    pub fn of(rule: &Rule) -> Identity {
        let (trigger, settings) = rule.trigger.identity();
        Identity::Settings { trigger: trigger.to_owned(), settings, select: rule.select.identity() }
    }

    /// Whether it is that of this rule.
    pub fn is_of(&self, rule: &Rule) -> bool {
        match self {
            Identity::Settings { .. } => *self == Identity::of(rule),
            Identity::Version1(text) => version_1::identity(rule).as_deref() == Some(text),
        }
    }
}
