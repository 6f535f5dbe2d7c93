//! The markup policy: what HTML of a plugin may reach a customer's browser.
//!
//! A plugin's rendered page passes [`Policy::apply`] before the host puts it into the content area. The policy assumes
//! that the plugin is hostile. What holds afterwards:
//!
//! - The markup is a sequence of complete elements: no tag of it closes anything of the host's, and nothing stays open.
//!   A browser builds exactly the tree that the tags describe.
//! - It has no scripts, styles, frames, plugins, comments, declarations or foreign content but icons; no `on…` handlers;
//!   only elements and attributes of a list.
//! - Without a click of the customer it loads nothing but images of the panel, and asks the server nothing but what the
//!   host's own refresh asks, under the plugin's prefix. With a click it sends only to its own prefix; links may lead
//!   anywhere by http and https.
//! - Its ids cannot take the place of the host's. It cannot leave its area by classes. It cannot ask for a password.
//!
//! What is *refused* (an error, nothing is shown): structure, which cannot be mended without guessing: unknown elements,
//! tags that do not match, malformed tags. What is *left out* (a [`Violation`], the page is shown): attributes and
//! classes. Both are told to the provider, never to the customer.
//!
//! How it is built: `token` cuts the text, `element` holds the elements and their order, `attribute` the attributes,
//! `address` and `class` their values, `entity` decodes and encodes. Everything is written anew from what was
//! understood; nothing of the source is passed on uninspected but text. Why not a tolerant rewriter: those pass over
//! end tags that match nothing, which is how a page leaves its area, and show attribute values undecoded.
//!
//! To allow an element or attribute, add it to the table there and a case to `tests/allowed.rs`; ask of each what it does
//! without a click, where it can send, and what it lets the plugin cover.
//!
//! Not here: the host's Content-Security-Policy, which is the second wall; what templates may do (see
//! [`crate::template`]).

mod address;
mod attribute;
mod class;
mod element;
mod entity;
mod token;

#[cfg(test)]
mod tests;

use attribute::Verdict;
use element::{Content, Open};
use token::{StartTag, Token, Tokenizer};

/// More markup than this is refused, in bytes.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Violations beyond this number are not listed one by one.
const MAX_VIOLATIONS: usize = 50;

/// The longest piece of a plugin's markup that an error or violation repeats, in characters.
const EXCERPT: usize = 60;

/// Why a plugin's markup was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct MarkupError {
    /// The line of the rendered markup, from 1.
    pub line: usize,
    /// What was refused, of a length fit for a log.
    pub what: String,
}

/// Something that the policy left out of the markup. The page is shown without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The line of the rendered markup, from 1.
    pub line: usize,
    /// What was left out and why, of a length fit for a log.
    pub what: String,
}

/// Markup that passed the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// The markup to put into the content area.
    pub html: String,
    /// What was left out of it, at most 51 entries.
    pub violations: Vec<Violation>,
}

/// What one plugin may write on one service's pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    base_path: String,
}

impl Policy {
    /// `base_path` is the plugin's own prefix on this service, an absolute path: `/services/ID/PLUGIN/`. Slashes at its
    /// ends are added where they are missing.
    pub fn new(base_path: impl AsRef<str>) -> Self {
        let inner = base_path.as_ref().trim_matches('/');
        Self {
            base_path: if inner.is_empty() {
                "/".to_owned()
            } else {
                format!("/{inner}/")
            },
        }
    }

    /// The plugin's own prefix, with a slash at both ends.
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// Passes `html` through the policy. Takes time in proportion to its length, about a millisecond for 300 KB.
    pub fn apply(&self, html: &str) -> Result<Cleaned, MarkupError> {
        if html.len() > MAX_BYTES {
            return Err(MarkupError {
                line: 1,
                what: format!("more than {MAX_BYTES} bytes of markup"),
            });
        }
        Pass {
            policy: self,
            html,
            tokens: Tokenizer::new(html),
            open: Open::default(),
            out: String::with_capacity(html.len() + html.len() / 8),
            violations: Vec::new(),
        }
        .run()
    }
}

/// One pass over one page.
struct Pass<'a> {
    policy: &'a Policy,
    html: &'a str,
    tokens: Tokenizer<'a>,
    open: Open,
    out: String,
    violations: Vec<Violation>,
}

impl Pass<'_> {
    fn run(mut self) -> Result<Cleaned, MarkupError> {
        loop {
            let start = self.tokens.position();
            let step = match self.tokens.next() {
                Ok(None) => break,
                Ok(Some(Token::Text(text))) => self.text(text),
                Ok(Some(Token::Start(tag))) => self.start(&tag, start),
                Ok(Some(Token::End(name))) => self.end(&name),
                Err(what) => Err(what),
            };
            step.map_err(|what| MarkupError {
                line: self.line(start),
                what,
            })?;
        }
        if let Some(name) = self.open.unclosed() {
            return Err(MarkupError {
                line: self.line(self.html.len()),
                what: format!("`{name}` is not closed"),
            });
        }
        Ok(Cleaned {
            html: self.out,
            violations: self.violations,
        })
    }

    fn line(&self, position: usize) -> usize {
        1 + self
            .html
            .bytes()
            .take(position)
            .filter(|byte| *byte == b'\n')
            .count()
    }

    fn violation(&mut self, position: usize, what: String) {
        let what = match self.violations.len() {
            count if count < MAX_VIOLATIONS => what,
            MAX_VIOLATIONS => "further violations are not listed".to_owned(),
            _ => return,
        };
        let line = self.line(position);
        self.violations.push(Violation { line, what });
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        if !text.bytes().all(|byte| byte.is_ascii_whitespace()) {
            self.open.admit_text()?;
        }
        entity::write_text(&mut self.out, text);
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<(), String> {
        let element = self.open.close(name).map_err(|what| excerpt(&what))?;
        self.out.push_str("</");
        self.out.push_str(element.name);
        self.out.push('>');
        Ok(())
    }

    fn start(&mut self, tag: &StartTag<'_>, position: usize) -> Result<(), String> {
        let element = element::find(&tag.name)
            .ok_or_else(|| format!("the element `{}` is not allowed", excerpt(&tag.name)))?;
        self.open.admit(element)?;
        let in_svg = matches!(element.name, "svg" | "use");
        if tag.self_closing && element.content != Content::Void && !in_svg {
            return Err(format!("`<{}/>`: it needs an end tag", element.name));
        }
        self.out.push('<');
        self.out.push_str(element.name);
        self.attributes(tag, position)?;
        self.out.push('>');
        if tag.self_closing && in_svg {
            self.out.push_str("</");
            self.out.push_str(element.name);
            self.out.push('>');
        } else if element.content == Content::RawText {
            let content = self.tokens.raw_text(element.name)?;
            entity::write_text(&mut self.out, content);
            self.out.push_str("</");
            self.out.push_str(element.name);
            self.out.push('>');
        } else if element.content != Content::Void {
            self.open.push(element);
        }
        Ok(())
    }

    fn attributes(&mut self, tag: &StartTag<'_>, position: usize) -> Result<(), String> {
        let mut action = false;
        let mut external = false;
        for (index, attribute) in tag.attributes.iter().enumerate() {
            let name = &*attribute.name;
            if tag
                .attributes
                .iter()
                .take(index)
                .any(|earlier| earlier.name == attribute.name)
            {
                self.violation(position, format!("`{}` has `{}` twice", tag.name, excerpt(name)));
                continue;
            }
            let written = match attribute::judge(&self.policy.base_path, tag, attribute, &self.open)? {
                Verdict::Write(value) => value,
                Verdict::Trimmed(value, what) => {
                    self.violation(position, format!("`{}`: {}", tag.name, excerpt(&what)));
                    value.into()
                }
                Verdict::Drop(reason) => {
                    if !reason.is_empty() {
                        let value = excerpt(&attribute.value);
                        self.violation(
                            position,
                            format!("`{}` of `{}` = `{value}`: {reason}", excerpt(name), tag.name),
                        );
                    }
                    continue;
                }
            };
            match name {
                "action" => action = true,
                "href" => external = tag.name == "a" && !written.starts_with(['/', '#']),
                _ => {}
            }
            self.write(name, &written);
        }
        if tag.name == "form" && !action {
            // Without one it would send to the page it is on, which can be the host's.
            let base_path = self.policy.base_path.clone();
            self.write("action", &base_path);
        }
        let target = tag
            .attributes
            .iter()
            .any(|attribute| attribute.name == "target" && attribute.value == "_blank");
        if external || (tag.name == "a" && target) {
            self.write("rel", "noopener noreferrer");
        }
        Ok(())
    }

    fn write(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        if value.is_empty() {
            return;
        }
        self.out.push_str("=\"");
        entity::write_value(&mut self.out, value);
        self.out.push('"');
    }
}

/// A piece of a plugin's text, cut and freed of control characters.
fn excerpt(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(EXCERPT)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if text.chars().nth(EXCERPT).is_some() {
        short.push('…');
    }
    short
}
