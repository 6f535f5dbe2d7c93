use portico_sdk::prelude::*;

enum Work {
    Begin,
}

impl JobKind for Work {
    const KIND: &'static str = "work";

    fn advance(self, _: &Context, _: &Job, _: &Event) -> Result<Step, Error> {
        Ok(Step::done("Done."))
    }
}

fn main() {
    let _ = Work::Begin;
}
