//! A tokenizer for the part of HTML that a plugin may write.
//!
//! It is stricter than a browser's: where a browser recovers from malformed markup, this refuses, so that there is never
//! a second opinion on where a tag begins or ends.

use super::entity;
use std::borrow::Cow;

/// More attributes than this on one tag are refused.
const MAX_ATTRIBUTES: usize = 64;

/// A piece of markup.
#[derive(Debug)]
pub(super) enum Token<'a> {
    /// Text between tags, character references not decoded.
    Text(&'a str),
    /// A start tag.
    Start(StartTag<'a>),
    /// An end tag. The name is in lower case.
    End(Cow<'a, str>),
}

/// A start tag.
#[derive(Debug)]
pub(super) struct StartTag<'a> {
    /// In lower case.
    pub(super) name: Cow<'a, str>,
    /// In the order of the source.
    pub(super) attributes: Vec<Attribute<'a>>,
    /// Whether it ends in `/>`.
    pub(super) self_closing: bool,
}

/// An attribute of a start tag.
#[derive(Debug)]
pub(super) struct Attribute<'a> {
    /// In lower case.
    pub(super) name: Cow<'a, str>,
    /// Decoded; empty where the source has no value.
    pub(super) value: Cow<'a, str>,
}

/// Cuts markup into tokens.
pub(super) struct Tokenizer<'a> {
    source: &'a str,
    position: usize,
}

impl<'a> Tokenizer<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, position: 0 }
    }

    /// Where the next token begins, in bytes.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.position..).unwrap_or_default()
    }

    fn byte(&self) -> Option<u8> {
        self.source.as_bytes().get(self.position).copied()
    }

    /// Takes bytes while `condition` holds. The condition must hold for ASCII only.
    fn take_while(&mut self, condition: impl Fn(u8) -> bool) -> &'a str {
        let start = self.position;
        while self.byte().is_some_and(&condition) {
            self.position += 1;
        }
        self.source.get(start..self.position).unwrap_or_default()
    }

    /// The next token; none at the end. Comments are left out.
    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>, String> {
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return Ok(None);
            }
            if !rest.starts_with('<') {
                let length = rest.find('<').unwrap_or(rest.len());
                return Ok(Some(self.text(length)));
            }
            match rest.as_bytes().get(1) {
                Some(letter) if letter.is_ascii_alphabetic() => return self.start_tag().map(Some),
                Some(b'/') => return self.end_tag().map(Some),
                Some(b'!') if rest.starts_with("<!--") => self.comment()?,
                Some(b'!' | b'?') => {
                    return Err("a declaration, a CDATA section or a processing instruction".to_owned());
                }
                // Any other `<` is text to a browser as well.
                _ => {
                    let length = rest
                        .get(1..)
                        .and_then(|text| text.find('<'))
                        .map_or(rest.len(), |at| at + 1);
                    return Ok(Some(self.text(length)));
                }
            }
        }
    }

    fn text(&mut self, length: usize) -> Token<'a> {
        let text = self.rest().get(..length).unwrap_or_default();
        self.position += length;
        Token::Text(text)
    }

    fn comment(&mut self) -> Result<(), String> {
        // Where browsers and this differ on where a comment ends does not matter: no comment is written.
        let rest = self.rest();
        let end = rest
            .get(4..)
            .and_then(|text| text.find("-->"))
            .ok_or("a comment that is not closed")?;
        self.position += 4 + end + 3;
        Ok(())
    }

    fn name(&mut self) -> Cow<'a, str> {
        lower(self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
    }

    fn end_tag(&mut self) -> Result<Token<'a>, String> {
        self.position += 2;
        if !self.byte().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            return Err("`</` without a name".to_owned());
        }
        let name = self.name();
        self.take_while(is_space);
        if self.byte() != Some(b'>') {
            return Err(format!("a malformed end tag of `{name}`"));
        }
        self.position += 1;
        Ok(Token::End(name))
    }

    fn start_tag(&mut self) -> Result<Token<'a>, String> {
        self.position += 1;
        let name = self.name();
        let mut tag = StartTag {
            name,
            attributes: Vec::new(),
            self_closing: false,
        };
        loop {
            let space = self.take_while(is_space);
            match self.byte() {
                None => return Err(format!("a tag of `{}` that is not closed", tag.name)),
                Some(b'>') => {
                    self.position += 1;
                    return Ok(Token::Start(tag));
                }
                Some(b'/') => {
                    self.position += 1;
                    if self.byte() != Some(b'>') {
                        return Err(format!("a `/` inside the tag of `{}`", tag.name));
                    }
                    self.position += 1;
                    tag.self_closing = true;
                    return Ok(Token::Start(tag));
                }
                Some(_) if space.is_empty() => return Err(format!("a malformed tag of `{}`", tag.name)),
                Some(_) => {
                    if tag.attributes.len() == MAX_ATTRIBUTES {
                        return Err(format!("more than {MAX_ATTRIBUTES} attributes of `{}`", tag.name));
                    }
                    let attribute = self.attribute(&tag.name)?;
                    tag.attributes.push(attribute);
                }
            }
        }
    }

    fn attribute(&mut self, tag: &str) -> Result<Attribute<'a>, String> {
        let name = self.take_while(|byte| byte.is_ascii_alphanumeric() || b"-_:.@".contains(&byte));
        if name.is_empty() {
            return Err(format!("a malformed attribute of `{tag}`"));
        }
        let name = lower(name);
        let after_name = self.position;
        self.take_while(is_space);
        if self.byte() != Some(b'=') {
            // The space belongs to what follows, which must be set off by it.
            self.position = after_name;
            return Ok(Attribute {
                name,
                value: Cow::Borrowed(""),
            });
        }
        self.position += 1;
        self.take_while(is_space);
        let value = if let Some(quote @ (b'"' | b'\'')) = self.byte() {
            self.position += 1;
            let rest = self.rest();
            let length = rest
                .find(char::from(quote))
                .ok_or_else(|| format!("a value of `{name}` of `{tag}` without its closing quote"))?;
            self.position += length + 1;
            rest.get(..length).unwrap_or_default()
        } else {
            let value =
                self.take_while(|byte| byte.is_ascii() && !is_space(byte) && !b"\"'<>=`/".contains(&byte));
            if value.is_empty() {
                return Err(format!(
                    "an empty or odd value of `{name}` of `{tag}`: put it in quotes"
                ));
            }
            value
        };
        Ok(Attribute {
            name,
            value: entity::decode(value),
        })
    }

    /// Takes the content of a `textarea`, whose start tag was just returned, up to its end tag, which is taken too.
    pub(super) fn raw_text(&mut self, name: &str) -> Result<&'a str, String> {
        let rest = self.rest();
        let mut from = 0;
        while let Some(at) = rest.get(from..).and_then(|text| text.find("</")) {
            let end = from + at;
            let after = rest.get(end + 2..).unwrap_or_default();
            if after
                .get(..name.len())
                .is_some_and(|found| found.eq_ignore_ascii_case(name))
            {
                let closing = after
                    .get(name.len()..)
                    .unwrap_or_default()
                    .trim_start_matches([' ', '\t', '\n']);
                if closing.starts_with('>') {
                    self.position += rest.len() - closing.len() + 1;
                    return Ok(rest.get(..end).unwrap_or_default());
                }
                return Err(format!("a malformed end tag of `{name}`"));
            }
            from = end + 2;
        }
        Err(format!("`{name}` is not closed"))
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0xc)
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}
