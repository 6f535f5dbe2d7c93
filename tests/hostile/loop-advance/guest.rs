//! Never ends in a step of a job.
use portico_hostile_guests::{Line, description, mark, say, spin};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("loop-advance", &["jobs.use"]).background("spin", "Spins.")
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, request: &Request) -> Result<Response, Error> {
        if request.method == portico_sdk::Method::Post {
            jobs::Spec::new(&Work {}, "Spinning")?.key("spin").start()?;
            return Ok(Response::redirect(""));
        }
        let jobs = jobs::list()?;
        say(format!("{:?}", jobs.first().map(|job| job.phase)))
    }

    fn advance(cx: &Context, job: &Job, event: &Event) -> Step {
        Background::new(cx, job, event).kind::<Work>().step()
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Work {}

impl JobKind for Work {
    const KIND: &'static str = "spin";

    fn advance(self, _: &Context, _: &Job, _: &Event) -> Result<Step, Error> {
        mark();
        spin()
    }
}
