//! Asks for another service's data by every parameter that it has.
use portico_hostile_guests::{Line, description, say};
use portico_sdk::prelude::*;
use portico_sdk::storage::{self, Space};

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("other-service", &["storage.use", "jobs.use", "vm.read"]).background("wait", "Waits.")
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

/// Everything that can be had with the parameters of a request, read as ids of services, jobs and keys.
fn steal(request: &Request) -> Vec<String> {
    let mut words = vec![request.path.clone()];
    words.extend(request.path.split('/').map(str::to_owned));
    for (name, value) in request.query.iter().chain(&request.form) {
        words.push(name.clone());
        words.push(value.clone());
    }
    let mut found = own();
    for word in &words {
        for space in [storage::service(), storage::plugin()] {
            for key in [
                word.clone(),
                format!("{word}/secret"),
                format!("../{word}/secret"),
                format!("{word}\0secret"),
                format!("\0{word}\0secret"),
                "secret".to_owned(),
            ] {
                collect(&mut found, space, &key);
            }
        }
        // A job is named by its key alone; the other service's must outlive this.
        for key in [word.as_str(), "anothers-job"] {
            if jobs::cancel(key).is_err() {
                found.push("cancel refused".to_owned());
            }
        }
    }
    found
}

fn collect(found: &mut Vec<String>, space: Space, key: &str) {
    if let Ok(Some(stored)) = space.get::<String>(key) {
        found.push(stored.value);
    }
    for prefix in ["", key] {
        if let Ok(list) = space.list::<String>(prefix, None, 100) {
            found.extend(list.into_iter().map(|stored| stored.value));
        }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Wait {}

impl JobKind for Wait {
    const KIND: &'static str = "wait";

    fn advance(self, _: &Context, _: &Job, _: &Event) -> Result<Step, Error> {
        Ok(Step::done("Waited."))
    }
}
