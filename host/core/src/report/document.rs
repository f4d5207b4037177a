//! The words for a person as a document, and the document as plain text and as HTML.

use crate::report::encode::wrap;

/// What stands in a report, from top to bottom.
#[derive(Default)]
pub(super) struct Document(Vec<Block>);

enum Block {
    /// A sentence or two.
    Words(String),
    /// Addresses the words above speak of, one in each line.
    Addresses(Vec<String>),
    /// Short facts, one in each line.
    Facts(Vec<String>),
    /// What follows is about this recipient.
    Recipient(String),
    /// Sentences under a title.
    Paragraphs { title: String, sentences: Vec<String> },
    /// Who wrote this.
    Signature(String),
}

impl Document {
    pub(super) fn words(&mut self, text: impl Into<String>) {
        self.0.push(Block::Words(text.into()));
    }

    pub(super) fn addresses(&mut self, addresses: Vec<String>) {
        self.0.push(Block::Addresses(addresses));
    }

    pub(super) fn facts(&mut self, facts: Vec<String>) {
        self.0.push(Block::Facts(facts));
    }

    pub(super) fn recipient(&mut self, address: String) {
        self.0.push(Block::Recipient(address));
    }

    /// Nothing where there is nothing to say.
    pub(super) fn paragraphs(&mut self, title: &str, sentences: Vec<String>) {
        if !sentences.is_empty() {
            self.0.push(Block::Paragraphs { title: title.to_owned(), sentences });
        }
    }

    pub(super) fn signature(&mut self, text: String) {
        self.0.push(Block::Signature(text));
    }

    /// Lines ended by `\n`.
    pub(super) fn plain(&self) -> String {
        let mut text = String::new();
        for (number, block) in self.0.iter().enumerate() {
            if number > 0 {
                text.push('\n');
            }
            match block {
                Block::Words(words) => text.push_str(&wrap(words, "")),
                Block::Addresses(addresses) => addresses.iter().for_each(|it| text.push_str(&format!("    {it}\n"))),
                Block::Facts(facts) => facts.iter().for_each(|fact| text.push_str(&wrap(fact, ""))),
                Block::Recipient(address) => text.push_str(&format!("{address}\n")),
                Block::Paragraphs { title, sentences } => {
                    text.push_str(&format!("  {title}:\n"));
                    sentences.iter().for_each(|sentence| text.push_str(&wrap(sentence, "    ")));
                }
                Block::Signature(words) => text.push_str(&format!("-- \n{}", wrap(words, ""))),
            }
        }
        text
    }

    /// The same, lines ended by `\n`: no script, no picture, no link, nothing from elsewhere.
    pub(super) fn html(&self) -> String {
        let mut html = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"></head>\n\
                        <body style=\"font-family: sans-serif; max-width: 42em\">\n"
            .to_owned();
        for block in &self.0 {
            html.push_str(&match block {
                Block::Words(words) => element("p", words),
                Block::Addresses(addresses) => list(addresses),
                Block::Facts(facts) => {
                    format!("<p>\n{}</p>\n", facts.iter().map(|fact| lines(fact, "<br>")).collect::<String>())
                }
                Block::Recipient(address) => element("h2", address),
                Block::Paragraphs { title, sentences } => {
                    let sentences: String = sentences.iter().map(|sentence| element("p", sentence)).collect();
                    format!("{}{sentences}", element("h3", title))
                }
                Block::Signature(words) => format!("<hr>\n<p><small>\n{}</small></p>\n", lines(words, "")),
            });
        }
        html.push_str("</body>\n</html>\n");
        html
    }
}

fn element(name: &str, text: &str) -> String {
    format!("<{name}>\n{}</{name}>\n", lines(text, ""))
}

fn list(items: &[String]) -> String {
    let items: String = items.iter().map(|item| format!("<li>\n{}</li>\n", lines(item, ""))).collect();
    format!("<ul>\n{items}</ul>\n")
}

/// A text in lines, each character its own, with a mark behind.
fn lines(text: &str, mark: &str) -> String {
    let mut wrapped = wrap(&escaped(text), "");
    wrapped.truncate(wrapped.trim_end().len());
    format!("{wrapped}{mark}\n")
}

/// As text and as an attribute's value.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_words_are_words_in_html_too() {
        let mut document = Document::default();
        document.words("<b>&\"'</b>");
        document.addresses(vec!["<script>@x".into()]);
        document.facts(vec!["a<".into(), "b".into()]);
        document.recipient("<i>".into());
        document.paragraphs("T<", vec!["s>".into()]);
        document.paragraphs("nothing", Vec::new());
        document.signature("e<".into());
        let html = document.html();
        let body = html.split_once("42em\">\n").expect("a body").1;
        assert_eq!(
            body,
            "<p>\n&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;\n</p>\n<ul>\n<li>\n&lt;script&gt;@x\n</li>\n</ul>\n<p>\na&lt;<br>\n\
             b<br>\n</p>\n<h2>\n&lt;i&gt;\n</h2>\n<h3>\nT&lt;\n</h3>\n<p>\ns&gt;\n</p>\n<hr>\n<p><small>\ne&lt;\n\
             </small></p>\n</body>\n</html>\n"
        );
        assert!(!html.contains("nothing") && !document.plain().contains("nothing"));
    }
}
