//! The lexical half of the recogniser: atoms, quoted strings, domain literals and specials, with comments and folding
//! white space (CFWS) taken out (RFC 5322 §3.2, §4.1; RFC 6532 §3.2).
//!
//! An octet that no token may hold sets `odd`; the reading goes on, so that what stands behind it is found too.

/// Deeper comments are in doubt. Comments are skipped by counting, so this bounds nonsense, not a stack.
const COMMENT_DEPTH_MAX: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A run of atext.
    Atom(String),
    /// A quoted string without its quotes.
    Quoted(String),
    /// A domain literal with its brackets.
    Literal(String),
    /// One of `< > : ; @ , .`
    Special(char),
}

pub(super) struct Tokens {
    pub(super) tokens: Vec<Token>,
    /// Some octet was no part of any token, white space or comment.
    pub(super) odd: bool,
}

pub(super) fn tokens(value: &[u8]) -> Tokens {
    let text = String::from_utf8_lossy(value);
    let mut reader = Reader { rest: &text, odd: std::str::from_utf8(value).is_err() };
    let mut tokens = Vec::new();
    while let Some(c) = reader.next() {
        match c {
            ' ' | '\t' => {}
            '\r' => reader.fold(),
            '(' => reader.comment(),
            '"' => tokens.push(Token::Quoted(reader.delimited('"'))),
            '[' => {
                let inner: String = reader.delimited(']').chars().filter(|c| !matches!(c, ' ' | '\t')).collect();
                tokens.push(Token::Literal(format!("[{inner}]")));
            }
            '<' | '>' | ':' | ';' | '@' | ',' | '.' => tokens.push(Token::Special(c)),
            c if is_atext(c) => tokens.push(Token::Atom(reader.atom(c))),
            _ => reader.odd = true,
        }
    }
    Tokens { tokens, odd: reader.odd }
}

/// RFC 5322 §3.2.3 and RFC 6532 §3.2, without U+0080 to U+009F: controls belong in nobody's name.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

struct Reader<'a> {
    rest: &'a str,
    odd: bool,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Behind a CR: only LF and white space make it a fold (RFC 5322 §2.2.3).
    fn fold(&mut self) {
        match self.rest.strip_prefix('\n') {
            Some(rest) if rest.starts_with([' ', '\t']) => self.rest = rest,
            _ => self.odd = true,
        }
    }

    fn atom(&mut self, first: char) -> String {
        let end = self.rest.find(|c| !is_atext(c)).unwrap_or(self.rest.len());
        let mut atom = String::from(first);
        atom.push_str(&self.rest[..end]);
        self.rest = &self.rest[end..];
        atom
    }

    /// Behind the opening octet: a quoted string or domain literal up to the closing one, quoted pairs resolved and
    /// folds taken out.
    fn delimited(&mut self, close: char) -> String {
        let mut inner = String::new();
        while let Some(c) = self.next() {
            match c {
                c if c == close => return inner,
                '\\' => match self.next() {
                    Some(c) => self.keep(c, &mut inner),
                    None => self.odd = true,
                },
                '\r' => self.fold(),
                '[' if close == ']' => self.odd = true,
                c => self.keep(c, &mut inner),
            }
        }
        self.odd = true; // never closed
        inner
    }

    /// Obsolete control characters (RFC 5322 §4.1) are kept and in doubt: nothing lawful has been made with them since 2001.
    fn keep(&mut self, c: char, inner: &mut String) {
        self.odd |= c.is_control() && c != '\t';
        inner.push(c);
    }

    /// Behind an opening parenthesis. Comments nest (RFC 5322 §3.2.2).
    fn comment(&mut self) {
        let mut depth = 1;
        while let Some(c) = self.next() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                '\\' => self.odd |= self.next().is_none_or(|c| c.is_control() && c != '\t'),
                '\r' => self.fold(),
                c => self.odd |= c.is_control() && c != '\t',
            }
            self.odd |= depth > COMMENT_DEPTH_MAX;
            if depth == 0 {
                return;
            }
        }
        self.odd = true; // never closed
    }
}
