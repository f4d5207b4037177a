//! Which setting lists whom. The lists are the host's and so is the matching (R8); here each list is opened and asked
//! once per decision, however many settings share it.

use sealwire_sdk::{AddressList, Entry, Host, Mailbox};

use crate::settings::{Setting, Settings};

/// Someone who is on a list.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Which of those asked about.
    pub(crate) who: usize,
    /// The entry that matched, as the operator wrote it.
    pub(crate) entry: String,
}

/// Asks about the same mailboxes again and again.
pub(crate) struct Lookup<'a, H> {
    names: &'a [String],
    who: &'a [Mailbox],
    host: &'a H,
    answers: Vec<Option<Option<Listed>>>,
}

impl<'a, H: Host> Lookup<'a, H> {
    /// Asks nothing yet.
    pub(crate) fn new(settings: &'a Settings, who: &'a [Mailbox], host: &'a H) -> Lookup<'a, H> {
        Lookup { names: &settings.lists, who, host, answers: vec![None; settings.lists.len()] }
    }

    /// The first mailbox on the first list of this setting that has one. Err: the list is gone, and nothing can be
    /// decided without it.
    pub(crate) fn first(&mut self, setting: &Setting) -> Result<Option<Listed>, String> {
        for &list in &setting.lists {
            if self.answers[list].is_none() {
                self.answers[list] = Some(self.ask(list)?);
            }
            if let Some(Some(listed)) = &self.answers[list] {
                return Ok(Some(listed.clone()));
            }
        }
        Ok(None)
    }

    fn ask(&self, list: usize) -> Result<Option<Listed>, String> {
        let name = &self.names[list];
        let list = self.host.list(name).ok_or_else(|| format!("there is no list `{name}` any more"))?;
        let mut everyone = self.who.iter().enumerate();
        Ok(everyone.find_map(|(who, mailbox)| list.find(mailbox).map(|entry| Listed { who, entry: entry.text() })))
    }
}
