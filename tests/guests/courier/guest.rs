//! Sends what it is told to: mails, from a page and from a job, and HTTP requests.

use portico_sdk::http::{self, Value};
use portico_sdk::mail::{self, Recipient};
use portico_sdk::prelude::*;
use serde::{Deserialize, Serialize};

struct Courier;

portico_sdk::export!(Courier);

/// A secret for the API that the tests play.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used: the plugin never sees a secret")]
struct Provider {
    #[schemars(extend("writeOnly" = true))]
    token: Option<String>,
    #[schemars(extend("writeOnly" = true))]
    key: Option<String>,
}

impl Feature for Courier {
    fn describe() -> Description {
        Description::new("courier", "1.0.0", "Courier")
            .summary("Sends what a test tells it to.")
            .permission("owner", "Write to the owner", &["mail.owner"])
            .permission("department", "Write to the department", &["mail.department"])
            .permission("fetch", "Call a service", &["http.send"])
            .settings::<Provider, portico_sdk::settings::NoSettings>()
            .background("later", "Sends a mail from a job.")
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>().with::<Note>()
    }

    fn handle(cx: &Context, request: &Request) -> Result<Response, Error> {
        Router::new()
            .post("write", write)
            .post("later", later)
            .post("fetch", fetch)
            .answer(cx, request)
    }

    fn advance(cx: &Context, job: &Job, event: &Event) -> Step {
        Background::new(cx, job, event).kind::<Later>().step()
    }
}

/// What a page says.
#[derive(Serialize)]
struct Line {
    text: String,
}

impl Template for Line {
    const NAME: &'static str = "page.html";
    const SOURCE: &'static str = "<p>{{ text }}</p>";

    fn samples() -> Vec<Self> {
        vec![Self {
            text: "sample".into(),
        }]
    }
}

fn say(text: impl Into<String>) -> Result<Response, Error> {
    Response::page(&Line { text: text.into() })
}

/// A mail.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    name: String,
    text: String,
}

impl Template for Note {
    const NAME: &'static str = "mail/note.txt";
    const SOURCE: &'static str = "News for {{ name }}\n{{ text }}\n";

    fn samples() -> Vec<Self> {
        vec![Self {
            name: "web1".into(),
            text: "All is well.".into(),
        }]
    }
}

fn note(request: &Request) -> Note {
    let mut form = request.form();
    Note {
        name: form.text("name", 500),
        text: form.text("text", 5_000),
    }
}

fn write(_: &Context, request: &Request) -> Result<Response, Error> {
    let to = match request.form().raw("to") {
        Some("department") => Recipient::Department,
        _ => Recipient::Owner,
    };
    mail::send(to, &note(request))?;
    say("queued")
}

/// Sends a mail in its first step and ends in its second.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Later {
    Send { note: Note },
    Sent,
}

impl JobKind for Later {
    const KIND: &'static str = "later";

    fn advance(self, _: &Context, _: &Job, _: &Event) -> Result<Step, Error> {
        match self {
            Self::Send { note } => {
                mail::send(Recipient::Owner, &note)?;
                Step::go_on(&Self::Sent, "The mail is queued.")
            }
            Self::Sent => Ok(Step::done("The mail was queued.")),
        }
    }
}

fn later(_: &Context, request: &Request) -> Result<Response, Error> {
    jobs::Spec::new(&Later::Send { note: note(request) }, "Sending a mail")?.start()?;
    Ok(Response::redirect(""))
}

fn fetch(_: &Context, request: &Request) -> Result<Response, Error> {
    let form = request.form();
    let mut outgoing = http::Request::get(form.raw("url").unwrap_or_default()).timeout(3_000);
    if let Some(secret) = form.raw("secret") {
        outgoing = outgoing.header("x-key", Value::Secret(secret.into()));
    }
    if let Some(header) = form.raw("header") {
        outgoing = outgoing.header(header, Value::Text("mine".into()));
    }
    match outgoing.send() {
        Ok(answer) => say(format!(
            "{}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        )),
        Err(error) => say(format!("error: {error:?}")),
    }
}
