//! What a browser got: status, headers, and the text that a customer reads.

use reqwest::header::HeaderMap;

/// An answer of the panel.
#[derive(Debug, Clone)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// The address it was got from, as a path.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The source.
    pub body: String,
}

impl Page {
    /// A header, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Where it redirects to.
    pub fn location(&self) -> Option<&str> {
        self.header("location")
    }

    /// The text without markup, each run of white space one space.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.body.len() / 2);
        let mut rest = self.body.as_str();
        while let Some((before, tag)) = rest.split_once('<') {
            text.push_str(before);
            text.push(' ');
            rest = tag.split_once('>').map_or("", |(_, after)| after);
        }
        text.push_str(rest);
        let text = decoded(&text);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Whether a customer reads this.
    pub fn says(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// The addresses that forms of the page post to, resolved against the page as a browser does.
    pub fn actions(&self) -> Vec<String> {
        self.attributes("action=\"")
            .map(|action| self.resolve(&action))
            .collect()
    }

    /// The values of all attributes that begin with `start`, such as `href="`.
    pub fn attributes<'a>(&'a self, start: &'a str) -> impl Iterator<Item = String> + 'a {
        self.body
            .split(start)
            .skip(1)
            .filter_map(|rest| rest.split_once('"'))
            .map(|(value, _)| decoded(value))
    }

    /// The path of a link whose text is exactly this.
    pub fn link(&self, text: &str) -> Option<String> {
        let (before, _) = self.body.split_once(&format!(">{text}</a>"))?;
        let (_, tag) = before.rsplit_once("<a ")?;
        let (_, href) = tag.split_once("href=\"")?;
        Some(decoded(href.split_once('"')?.0))
    }

    fn resolve(&self, action: &str) -> String {
        url::Url::parse(&format!("http://panel{}", self.path))
            .and_then(|base| base.join(action))
            .map_or_else(|_| action.to_owned(), |url| url.path().to_owned())
    }
}

/// Text with its character references resolved; `&amp;` last, so that nothing is resolved twice.
fn decoded(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&#x2F;", "/"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (reference, character)| {
        text.replace(reference, character)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> Page {
        Page {
            status: 200,
            path: "/services/1/overview".into(),
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    #[test]
    fn text_is_what_stands_between_tags() {
        let page = page("<p class=\"a\">One &amp;\n <b>two</b></p>");
        assert_eq!(page.text(), "One & two");
        assert!(page.says("& two") && !page.says("class"));
    }

    #[test]
    fn links_are_found_by_their_text_and_forms_by_their_place() {
        let page = page(
            "<a href=\"/services/2\">db1</a><form method=\"post\" action=\"/services/1/overview/start\">",
        );
        assert_eq!(page.link("db1").as_deref(), Some("/services/2"));
        assert_eq!(page.link("db"), None);
        assert_eq!(page.actions(), ["/services/1/overview/start"]);
    }
}
