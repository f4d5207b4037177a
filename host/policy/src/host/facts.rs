//! `wit/facts.wit`: every fact a policy may read. What is read is noted for the ledger (H8).
//!
//! What all its files share: handing out handles, noting facts, and how a fact is written.

mod channel;
mod lists;
mod message;
mod way_out;

use sealwire_core::address;
use serde_json::{Value, json};
use wasmtime::Result;
use wasmtime::component::Resource;

use crate::bindings::facts::Mailbox;
use crate::limits;
use crate::state::{State, over};

/// Handle of the client's channel and handshake, and of the hop's.
const CLIENT: u32 = 0;
const HOP: u32 = 1;

impl State {
    /// Notes a fact that has been read, and gives it back.
    fn told<T: Clone + ToJson>(&mut self, whose: &'static str, name: &'static str, value: T) -> Result<T> {
        self.reads.plain(whose, name, || value.to_json())?;
        Ok(value)
    }

    fn hand_out<T: 'static>(&mut self, rep: u32) -> Resource<T> {
        self.handles += 1;
        Resource::new_own(rep)
    }

    fn taken_back(&mut self) -> Result<()> {
        self.handles = self.handles.saturating_sub(1);
        Ok(())
    }
}

/// A fact as the ledger writes it.
trait ToJson {
    fn to_json(&self) -> Value;
}

macro_rules! as_serde_does {
    ($($kind:ty),+) => {
        $(impl ToJson for $kind {
            fn to_json(&self) -> Value {
                json!(self)
            }
        })+
    };
}

as_serde_does!(bool, u16, u32, u64, Option<u64>, Option<String>, Vec<String>, Vec<(String, String)>);

impl ToJson for String {
    fn to_json(&self) -> Value {
        self.as_str().into()
    }
}

fn hex(octets: &[u8]) -> Value {
    crate::hex(octets).into()
}

fn argument(method: &str, text: String) -> Result<String> {
    if text.len() > limits::ARGUMENT_OCTETS {
        return Err(over(format!(
            "{method}: an argument has {} octets; it may have {}",
            text.len(),
            limits::ARGUMENT_OCTETS
        )));
    }
    Ok(text)
}

/// Positions are bounded by limits far below 2^31.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn index(rep: u32) -> usize {
    usize::try_from(rep).unwrap_or(usize::MAX)
}

fn mailbox(mailbox: &address::Mailbox) -> Mailbox {
    Mailbox { local_part: mailbox.local.clone(), domain: mailbox.domain.as_str().to_owned() }
}

fn mailboxes(all: &[address::Mailbox]) -> Vec<Mailbox> {
    all.iter().map(mailbox).collect()
}

fn addresses(all: &[address::Mailbox]) -> Value {
    all.iter().map(|mailbox| Value::from(mailbox.to_string())).collect()
}
