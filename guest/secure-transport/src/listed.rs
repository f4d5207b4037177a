//! Which setting lists whom. The lists are the host's and so is the matching (R8); here each list is opened and asked
//! once per decision, however many settings share it.

use sealwire_sdk::{AddressList, Client, Entry, Host, Mailbox, Message};

use crate::exceptions::Exception;
use crate::settings::{Setting, Settings};

/// Someone who is on a list.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Which of those asked about.
    pub(crate) who: usize,
    /// The entry that matched, as the operator wrote it.
    pub(crate) entry: String,
}

/// What a setting makes of those asked about.
#[derive(Debug, Default)]
pub(crate) struct Matched<'s> {
    /// The first that it holds for.
    pub(crate) listed: Option<Listed>,
    /// Exceptions that kept it from holding for others, each with the entry that made it one.
    pub(crate) excepted: Vec<(String, &'s Exception)>,
}

/// How many mailboxes, and lists, an explanation names.
const TOLD: usize = 5;

fn address(mailbox: &Mailbox) -> String {
    format!("{}@{}", mailbox.local_part, mailbox.domain)
}

/// Asks about the same mailboxes again and again.
pub(crate) struct Lookup<'a, M, H> {
    names: &'a [String],
    who: &'a [Mailbox],
    message: &'a M,
    host: &'a H,
    answers: Vec<Option<Option<Listed>>>,
}

impl<'a, M: Message, H: Host> Lookup<'a, M, H> {
    /// Asks nothing yet.
    pub(crate) fn new(settings: &'a Settings, who: &'a [Mailbox], message: &'a M, host: &'a H) -> Lookup<'a, M, H> {
        Lookup { names: &settings.lists, who, message, host, answers: vec![None; settings.lists.len()] }
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

    /// The same, exceptions that count at that moment taken out.
    pub(crate) fn matched<'s>(&mut self, setting: &'s Setting, now: u64) -> Result<Matched<'s>, String> {
        let counts = || setting.exceptions.iter().filter(|exception| exception.counts(now));
        let first = self.first(setting)?;
        if first.is_none() || counts().next().is_none() {
            return Ok(Matched { listed: first, ..Matched::default() });
        }
        let mut matched = Matched::default();
        for who in 0..self.who.len() {
            let Some(entry) = self.entry(&setting.lists, who, false)? else { continue };
            let mut exception = None;
            for candidate in counts() {
                exception = exception.or(self.entry(&candidate.lists, who, true)?.map(|entry| (entry, candidate)));
            }
            match exception {
                Some(exception) => matched.excepted.push(exception),
                None => {
                    matched.listed = Some(Listed { who, entry });
                    break;
                }
            }
        }
        Ok(matched)
    }

    /// Why a setting holds for nobody that was asked about.
    pub(crate) fn not_listed(&self, setting: &Setting, is_excepted: bool) -> String {
        let who: Vec<String> = self.who.iter().take(TOLD).map(address).collect();
        let more = if self.who.len() > TOLD { ", and more," } else { "" };
        let on = if is_excepted { "on none of its lists, or by an exception: " } else { "on none of its lists: " };
        let lists: Vec<&str> = setting.lists.iter().take(TOLD).map(|&list| &*self.names[list]).collect();
        match &who[..] {
            [] => "From names nobody who could be on its lists.".to_owned(),
            who => format!("{}{more} is {on}{}.", who.join(", "), lists.join(", ")),
        }
    }

    /// The entry of the first of these lists that has him. `loosens`: an entry for authenticated senders alone is none for
    /// others, who may be anybody under that name.
    fn entry(&self, lists: &[usize], who: usize, loosens: bool) -> Result<Option<String>, String> {
        for &list in lists {
            let found = self.list(list)?.find(&self.who[who]);
            let authenticated = || self.message.client().is_some_and(|client| client.authenticated_as().is_some());
            let counts = |entry: &_| !loosens || !Entry::authenticated_sender_only(entry) || authenticated();
            if let Some(entry) = found.filter(counts) {
                return Ok(Some(entry.text()));
            }
        }
        Ok(None)
    }

    fn list(&self, list: usize) -> Result<H::List, String> {
        let name = &self.names[list];
        self.host.list(name).ok_or_else(|| format!("there is no list `{name}` any more"))
    }

    fn ask(&self, list: usize) -> Result<Option<Listed>, String> {
        let list = self.list(list)?;
        let mut everyone = self.who.iter().enumerate();
        Ok(everyone.find_map(|(who, mailbox)| list.find(mailbox).map(|entry| Listed { who, entry: entry.text() })))
    }
}
