//! The grammatical half of the recogniser: an address list with its groups and obsolete forms (RFC 5322 §3.4, §4.4).
//!
//! Where the grammar fails, the failure is noted and the next element begins at that token, so that whatever looks like
//! a mailbox is still found. Every token is taken once.

use super::tokens::{Token, tokens};
use crate::address::{Domain, Mailbox};

pub(super) struct Strict {
    pub(super) mailboxes: Vec<Mailbox>,
    /// The grammar consumed every octet.
    pub(super) consumed: bool,
}

pub(super) fn mailboxes(value: &[u8]) -> Strict {
    let lexed = tokens(value);
    let mut reader =
        Reader { tokens: &lexed.tokens, at: 0, in_group: false, mailboxes: Vec::new(), consumed: !lexed.odd };
    while reader.at < reader.tokens.len() {
        reader.element();
    }
    reader.consumed &= !reader.in_group; // a group ends with a semicolon
    Strict { mailboxes: reader.mailboxes, consumed: reader.consumed }
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    in_group: bool,
    mailboxes: Vec<Mailbox>,
    consumed: bool,
}

impl<'a> Reader<'a> {
    /// One element of the list: a mailbox, a group's beginning or end, or nothing (obs-mbox-list, RFC 5322 §4.4), with the
    /// comma or semicolon behind it. Takes at least one token.
    fn element(&mut self) {
        let words = self.words();
        match self.special() {
            Some('@') => {
                self.addr_spec(words);
                self.end_of_element();
            }
            Some('<') => {
                // A phrase begins with a word; dots in it are obsolete and common: `John Q. Public`.
                self.consumed &= !matches!(words.first(), Some(Token::Special(_)));
                self.at += 1;
                self.angle_addr();
                self.end_of_element();
            }
            Some(':') => {
                self.consumed &= matches!(words.first(), Some(Token::Atom(_) | Token::Quoted(_))) && !self.in_group;
                self.in_group = true;
                self.at += 1;
            }
            Some(',' | ';') | None if self.at_end_or_separator() => {
                self.consumed &= words.is_empty();
                self.end_of_element();
            }
            // `>` or a domain literal where neither can stand.
            _ => {
                self.consumed = false;
                self.at += 1;
            }
        }
    }

    /// What may follow an element: the end, a comma, or the semicolon of a group.
    fn end_of_element(&mut self) {
        match self.special() {
            Some(',') => self.at += 1,
            Some(';') => {
                self.consumed &= self.in_group;
                self.in_group = false;
                self.at += 1;
                // RFC 5322 §3.4: between a group and the next address stands a comma.
                match self.special() {
                    Some(',') => self.at += 1,
                    _ => self.consumed &= self.at == self.tokens.len(),
                }
            }
            _ => self.consumed &= self.at == self.tokens.len(),
        }
    }

    /// Behind `<`: an obsolete route, an addr-spec, `>` (RFC 5322 §4.4, obs-angle-addr).
    fn angle_addr(&mut self) {
        if matches!(self.special(), Some('@' | ',')) {
            self.route();
        }
        let words = self.words();
        match self.special() {
            Some('@') => self.addr_spec(words),
            _ => self.consumed = false,
        }
        match self.special() {
            Some('>') => self.at += 1,
            _ => self.consumed = false,
        }
    }

    /// `@one,@two:` (RFC 5322 §4.4, obs-route). Its domains are no mailboxes.
    fn route(&mut self) {
        let mut domains = 0;
        loop {
            match self.special() {
                Some(',') => self.at += 1,
                Some('@') => {
                    self.at += 1;
                    self.consumed &= self.domain().is_some();
                    domains += 1;
                    // Behind a domain stands a comma or the colon.
                    if !matches!(self.special(), Some(',' | ':')) {
                        self.consumed = false;
                        return;
                    }
                }
                Some(':') => {
                    self.consumed &= domains > 0;
                    self.at += 1;
                    return;
                }
                _ => {
                    self.consumed = false;
                    return;
                }
            }
        }
    }

    /// At `@`, with the words before it: a local part (obs-local-part: words between single dots) and a domain.
    fn addr_spec(&mut self, words: &[Token]) {
        self.at += 1;
        let (local, whole) = local_part(words);
        self.consumed &= whole;
        match self.domain() {
            Some(domain) if !local.is_empty() || whole => self.mailboxes.push(Mailbox::new(local, domain)),
            _ => self.consumed = false,
        }
    }

    /// A dot-atom, obs-domain or domain literal. None, and doubt by the caller, where there is none.
    fn domain(&mut self) -> Option<Domain> {
        if let Some(Token::Literal(literal)) = self.tokens.get(self.at) {
            self.at += 1;
            return Domain::parse(literal).ok();
        }
        let mut name = String::new();
        while let Some(Token::Atom(atom)) = self.tokens.get(self.at) {
            name.push_str(atom);
            self.at += 1;
            let another = matches!(self.tokens.get(self.at + 1), Some(Token::Atom(_)));
            if self.special() != Some('.') || !another {
                break;
            }
            name.push('.');
            self.at += 1;
        }
        Domain::parse(&name).ok()
    }

    /// Takes atoms, quoted strings and dots.
    fn words(&mut self) -> &'a [Token] {
        let rest = &self.tokens[self.at..];
        let is_word = |token: &Token| matches!(token, Token::Atom(_) | Token::Quoted(_) | Token::Special('.'));
        let len = rest.iter().take_while(|token| is_word(token)).count();
        self.at += len;
        &rest[..len]
    }

    fn special(&self) -> Option<char> {
        match self.tokens.get(self.at) {
            Some(Token::Special(c)) => Some(*c),
            _ => None,
        }
    }

    fn at_end_or_separator(&self) -> bool {
        matches!(self.tokens.get(self.at), None | Some(Token::Special(',' | ';')))
    }
}

/// The longest end of these words that is a local part, and whether it is all of them.
fn local_part(words: &[Token]) -> (String, bool) {
    let is_dot = |token: &Token| *token == Token::Special('.');
    let mut start = words.len();
    while start > 0 && !is_dot(&words[start - 1]) {
        start -= 1;
        // On over one dot with a word before it.
        let dotted = start >= 2 && is_dot(&words[start - 1]) && !is_dot(&words[start - 2]);
        if !dotted {
            break;
        }
        start -= 1;
    }
    let mut local = String::new();
    for token in &words[start..] {
        match token {
            Token::Atom(text) | Token::Quoted(text) => local.push_str(text),
            _ => local.push('.'),
        }
    }
    (local, start == 0 && !words.is_empty())
}
