//! Asks for another service's data by every parameter that it has.
use portico_hostile_guests::{Line, description, say};
use portico_sdk::prelude::*;
use portico_sdk::storage;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("other-service", &["storage.use", "jobs.use"]).background("wait", "Waits.")
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(cx: &Context, request: &Request) -> Result<Response, Error> {
        match (request.path.as_str(), request.method) {
            ("plant", portico_sdk::Method::Post) => {
                storage::service().set("secret", &"ANOTHERS-SECRET")?;
                jobs::Spec::new(&Wait {}, "ANOTHERS-SECRET job")?
                    .key("anothers-job")
                    .at(cx.now + 3_600)?;
                Ok(Response::redirect(""))
            }
            ("mine", _) => say(format!("{:?}", own())),
            _ => say(format!("{:?}", steal(request))),
        }
    }

    fn advance(cx: &Context, job: &Job, event: &Event) -> Step {
        Background::new(cx, job, event).kind::<Wait>().step()
    }
}

/// What the service has of its own.
fn own() -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(Some(stored)) = storage::service().get::<String>("secret") {
        found.push(stored.value);
    }
    if let Ok(list) = jobs::list() {
        found.extend(list.into_iter().map(|job| format!("{} {}", job.title, job.id)));
    }
    found
}

/// Everything that can be had with the parameters of a request, read as ids of services, jobs and keys. Stays below the
/// number of calls that a request may make: it is to be refused for what it asks, not for how often.
fn steal(request: &Request) -> Vec<String> {
    let mut words = vec![request.path.clone()];
    words.extend(request.path.split('/').map(str::to_owned));
    for (name, value) in request.query.iter().chain(&request.form) {
        words.push(name.clone());
        words.push(value.clone());
    }
    words.sort();
    words.dedup();
    let mut found = own();
    for word in &words {
        for space in [storage::service(), storage::plugin()] {
            for key in [
                word.clone(),
                format!("../{word}/secret"),
                format!("{word}\0secret"),
            ] {
                if let Ok(Some(stored)) = space.get::<String>(&key) {
                    found.push(stored.value);
                }
            }
            if let Ok(list) = space.list::<String>("", Some(word), 100) {
                found.extend(list.into_iter().map(|stored| stored.value));
            }
        }
        // A job is named by its key alone; the other service's must outlive this.
        if jobs::cancel(word).is_err() {
            found.push("cancel refused".to_owned());
        }
    }
    found
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Wait {}

impl JobKind for Wait {
    const KIND: &'static str = "wait";

    fn advance(self, _: &Context, _: &Job, _: &Event) -> Result<Step, Error> {
        Ok(Step::done("Waited."))
    }
}
