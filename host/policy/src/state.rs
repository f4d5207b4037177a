//! What one instance may see and what it has said: the data behind every host method.
//!
//! A state lives for one decision (or one `configure`) and is thrown away with its instance. It holds shared, immutable
//! facts; nothing in it outlives the decision but the calls and the facts read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sealwire_core::facts::{DestinationFacts, HopFacts, MessageFacts, RouteKind};
use sealwire_core::list::AddressList;
use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

use crate::calls::Calls;
use crate::limits::{self, Profile};
use crate::reads::Reads;
use crate::wasi::Inert;

/// A route of the configuration, as policies see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFacts {
    /// Kind of the route.
    pub kind: RouteKind,
    /// What it demands, in the contract's words: `tls`, `trusted-chain`, `matching-name`.
    pub demands: Vec<String>,
}

/// The lists and routes of one generation, shared by all its policies.
#[derive(Default)]
pub(crate) struct Surroundings {
    /// Sorted by name.
    pub(crate) lists: Vec<(String, Arc<AddressList>)>,
    /// By name; the position is the handle.
    pub(crate) routes: Vec<(String, RouteFacts)>,
}

impl Surroundings {
    /// Every look-up in the one finds what it finds in the other.
    pub(crate) fn is_as(&self, other: &Surroundings) -> bool {
        let mut lists = self.lists.iter().zip(&other.lists);
        self.routes == other.routes
            && self.lists.len() == other.lists.len()
            && lists.all(|(one, two)| one.0 == two.0 && Arc::ptr_eq(&one.1, &two.1))
    }

    pub(crate) fn list(&self, name: &str) -> Option<usize> {
        self.lists.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()
    }

    pub(crate) fn route(&self, name: &str) -> Option<usize> {
        self.routes.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()
    }
}

/// Which hook is asked, and about what besides the message.
#[derive(Clone)]
pub(crate) enum Question {
    /// Once, before mail flows.
    Configure,
    /// A message that arrives.
    Receive(Arc<MessageFacts>),
    /// One recipient's way out.
    Plan(Arc<MessageFacts>, Arc<DestinationFacts>),
    /// One host.
    Judge(Arc<MessageFacts>, Arc<HopFacts>),
}

impl Question {
    /// The hook's name in the contract.
    pub(crate) fn hook(&self) -> &'static str {
        match self {
            Question::Configure => "configure",
            Question::Receive(_) => "receive",
            Question::Plan(..) => "plan",
            Question::Judge(..) => "judge",
        }
    }

    pub(crate) fn message(&self) -> Option<&Arc<MessageFacts>> {
        match self {
            Question::Configure => None,
            Question::Receive(message) | Question::Plan(message, _) | Question::Judge(message, _) => Some(message),
        }
    }

    /// The same as this unit sees it.
    pub(crate) fn of_unit(self, unit: &[String]) -> Question {
        let of = |message: Arc<MessageFacts>| {
            if message.organizational_unit == unit {
                return message;
            }
            Arc::new(MessageFacts { organizational_unit: unit.to_vec(), ..(*message).clone() })
        };
        match self {
            Question::Configure => Question::Configure,
            Question::Receive(message) => Question::Receive(of(message)),
            Question::Plan(message, to) => Question::Plan(of(message), to),
            Question::Judge(message, hop) => Question::Judge(of(message), hop),
        }
    }

    /// What makes this decision the one it is: equal facts, equal randomness.
    pub(crate) fn id(&self) -> String {
        let message = self.message().map_or("", |message| message.id.as_str());
        match self {
            Question::Configure | Question::Receive(_) => format!("{}/{message}", self.hook()),
            Question::Plan(_, to) => format!("plan/{message}/{}/{}/{}", to.recipient, to.route_name, to.round),
            Question::Judge(_, hop) => format!("judge/{message}/{}/{}", hop.host, hop.address),
        }
    }
}

/// What `configure` looked up. A later generation must still have it, and unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lookups {
    pub(crate) lists: BTreeMap<String, bool>,
    pub(crate) routes: BTreeMap<String, Option<RouteFacts>>,
}

/// Data of a store.
pub(crate) struct State {
    pub(crate) question: Question,
    pub(crate) now: u64,
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) calls: Calls,
    pub(crate) reads: Reads,
    pub(crate) lookups: Lookups,
    /// Entries found; the position is the handle.
    pub(crate) entries: Vec<(String, bool)>,
    /// Handles of facts and decisions the guest holds.
    pub(crate) handles: usize,
    /// Made when a guest first reaches for WASI, which the built-in policies never do.
    pub(crate) wasi: Option<Box<Inert>>,
    pub(crate) memory: MemoryLimit,
}

impl State {
    pub(crate) fn new(question: Question, now: u64, surroundings: Arc<Surroundings>, profile: Profile) -> State {
        State {
            question,
            now,
            surroundings,
            calls: Calls::default(),
            reads: Reads::default(),
            lookups: Lookups::default(),
            entries: Vec::new(),
            handles: 0,
            wasi: None,
            memory: MemoryLimit { used: 0, limit: profile.memory() },
        }
    }

    /// `configure` is over in this very instance; now comes the question itself.
    pub(crate) fn begin(&mut self, question: Question) {
        self.question = question;
        self.calls = Calls::default();
        self.reads.begin();
    }
}

/// How a guest broke the contract: the trap of the call that did.
#[derive(Debug)]
pub(crate) enum Breach {
    /// It called what it may not, or with what it may not.
    Misuse(String),
    /// It asked for more than it may.
    Limit(String),
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Breach::Misuse(text) | Breach::Limit(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Breach {}

/// A trap that says what was not allowed.
pub(crate) fn misuse(text: impl Into<String>) -> wasmtime::Error {
    wasmtime::Error::new(Breach::Misuse(text.into()))
}

/// A trap that says which limit was passed.
pub(crate) fn over(text: impl Into<String>) -> wasmtime::Error {
    wasmtime::Error::new(Breach::Limit(text.into()))
}

/// All memories of one instance together.
pub(crate) struct MemoryLimit {
    used: usize,
    limit: usize,
}

impl MemoryLimit {
    pub(crate) fn used(&self) -> usize {
        self.used
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            return Err(over(format!("it asked for {} KiB of memory; it may have {}", used >> 10, self.limit >> 10)));
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > limits::TABLE_ELEMENTS {
            return Err(over(format!("it asked for a table of {desired}; it may have {}", limits::TABLE_ELEMENTS)));
        }
        Ok(true)
    }
}
