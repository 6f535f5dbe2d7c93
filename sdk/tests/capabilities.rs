//! What the capability modules hand to the host and what they make of its answers, for those that the plugins of this
//! repository do not use, and the rules the played host keeps.

use portico_sdk::http::{self, Body, Value};
use portico_sdk::mail::{self, Recipient};
use portico_sdk::prelude::*;
use portico_sdk::testing::{Bench, Host, with};
use portico_sdk::{power, storage};
use serde::{Deserialize, Serialize};

/// Runs something with a host where everything is granted.
fn hosted<T>(what: impl FnOnce() -> T) -> (Host, T) {
    with(Host::default(), what)
}

mod store {
    use super::*;

    #[test]
    fn values_are_kept_by_space_and_key_and_listed_in_order() {
        let (_, ()) = hosted(|| {
            let space = storage::service();
            for key in ["b/2", "a/1", "b/1"] {
                space.set(key, &key.len()).unwrap();
            }
            assert_eq!(space.get::<usize>("b/1").unwrap().unwrap().value, 3);
            assert_eq!(storage::plugin().get::<usize>("b/1").unwrap(), None);
            let keys = |prefix, after, limit| {
                let page = space.list::<usize>(prefix, after, limit).unwrap();
                page.into_iter().map(|stored| stored.key).collect::<Vec<_>>()
            };
            assert_eq!(keys("b/", None, 100), ["b/1", "b/2"]);
            assert_eq!(keys("", Some("a/1"), 1), ["b/1"]);
            space.delete("b/1").unwrap();
            space.delete("b/1").unwrap();
            assert_eq!(keys("", None, 100), ["a/1", "b/2"]);
        });
    }

    #[test]
    fn a_swap_with_an_old_version_is_a_conflict_and_changes_nothing() {
        let (_, ()) = hosted(|| {
            let space = storage::service();
            let first = space.swap("k", None, &1).unwrap();
            assert_eq!(space.swap("k", None, &2), Err(Error::Conflict));
            let second = space.swap("k", Some(first), &2).unwrap();
            assert_eq!(space.swap("k", Some(first), &3), Err(Error::Conflict));
            assert_ne!(first, second);
            assert_eq!(space.get::<u8>("k").unwrap().unwrap().value, 2);
        });
    }

    #[test]
    fn a_value_of_another_shape_fails_with_its_key_and_one_too_large_is_over_quota() {
        let (_, ()) = hosted(|| {
            let space = storage::service();
            space.set("k", &"text").unwrap();
            let Err(Error::Failed(text)) = space.get::<u8>("k") else {
                panic!("a text was read as a number")
            };
            assert!(text.contains("`k`"), "{text}");
            assert!(matches!(
                space.set("k", &"x".repeat(64 << 10)),
                Err(Error::Quota(_))
            ));
            assert!(matches!(space.set("", &1), Err(Error::Invalid(_))));
        });
    }
}

#[derive(Serialize)]
struct Done {
    name: String,
}

impl Template for Done {
    const NAME: &'static str = "mail/done.txt";
    const SOURCE: &'static str = "Done\n{{ name }}";

    fn samples() -> Vec<Self> {
        vec![Self { name: "x".into() }]
    }
}

#[test]
fn a_mail_names_its_template_and_carries_its_data() {
    let (host, result) = hosted(|| mail::send(Recipient::Owner, &Done { name: "n".into() }));
    assert_eq!(result, Ok(()));
    assert_eq!(host.mails.len(), 1);
    assert_eq!(
        (host.mails[0].template.as_str(), host.mails[0].data.as_str()),
        ("mail/done.txt", r#"{"name":"n"}"#)
    );
}

#[test]
fn a_mail_needs_the_scope_of_its_recipient() {
    let mut host = Host::default();
    host.scopes = Some(["mail.owner".to_owned()].into());
    let (host, result) = with(host, || {
        mail::send(Recipient::Department, &Done { name: "n".into() })
    });
    assert!(matches!(result, Err(Error::Denied(_))));
    assert!(host.mails.is_empty());
}

#[derive(Deserialize)]
struct Answer {
    id: u8,
}

#[test]
fn a_request_carries_secrets_by_name_and_its_answer_is_read_as_json() {
    let mut host = Host::default();
    host.http.answers.push_back(Ok(http::Response {
        status: 201,
        headers: vec![],
        body: br#"{"id":7}"#.to_vec(),
    }));
    let (host, result) = with(host, || {
        let answer = http::Request::post("https://dns.example/zones")
            .bearer("token")
            .json(&["a"])?
            .timeout(500)
            .send()?;
        assert_eq!(answer.status, 201);
        answer.json::<Answer>()
    });
    assert_eq!(result.unwrap().id, 7);
    let sent = &host.http.sent[0];
    assert_eq!(sent.url, "https://dns.example/zones");
    assert_eq!(sent.timeout, 500);
    assert_eq!(sent.body, Body::Json(r#"["a"]"#.into()));
    let secret = Value::PrefixedSecret(("Bearer ".into(), "token".into()));
    assert_eq!(sent.headers, [("authorization".to_owned(), secret)]);
}

#[test]
fn without_an_answer_a_request_is_unavailable() {
    let (_, result) = hosted(|| http::Request::get("https://dns.example").send());
    assert_eq!(result.map(|answer| answer.status), Err(Error::Unavailable));
}

#[test]
fn without_a_host_every_call_is_denied_with_a_hint() {
    let Err(Error::Denied(text)) = vm::status() else {
        panic!("there is no host")
    };
    assert!(text.contains("portico_sdk::testing"), "{text}");
}

/// A plugin that breaks the rules.
struct Rogue;

#[derive(Serialize, Deserialize)]
enum Work {
    Begin,
}

impl JobKind for Work {
    const KIND: &'static str = "work";

    fn advance(self, _: &Context, _: &Job, _: &Event) -> Result<Step, Error> {
        power::stop()?;
        Ok(Step::done("Stopped."))
    }
}

impl Feature for Rogue {
    fn describe() -> Description {
        Description::new("rogue", "1.0.0", "Rogue").permission("stop", "Stop", &["power.stop"])
    }

    fn handle(_: &Context, request: &Request) -> Result<Response, Error> {
        match request.path.as_str() {
            "stop" => drop(power::stop()?),
            "write" => drop(storage::service().set("k", &1)?),
            "shared" => drop(jobs::Spec::new(&Work::Begin, "Working")?.start()?),
            _ => drop(
                jobs::Spec::new(&Work::Begin, "Working")?
                    .exclusive("work")
                    .start()?,
            ),
        }
        Ok(Response::redirect(""))
    }

    fn advance(cx: &Context, job: &Job, event: &Event) -> Step {
        Background::new(cx, job, event).kind::<Work>().step()
    }
}

#[test]
fn work_on_the_vm_is_denied_outside_an_exclusive_job() {
    let mut bench = Bench::<Rogue>::new();
    assert!(matches!(bench.post("stop", &[]), Err(Error::Denied(_))));
    bench.post("shared", &[]).unwrap();
    bench.run();
    assert_eq!(bench.job("work").phase, jobs::Phase::Failed);
    assert!(bench.host.work.is_empty());
    bench.post("", &[]).unwrap();
    bench.run();
    assert_eq!(bench.host.work.len(), 1);
}

#[test]
#[should_panic(expected = "a GET called `storage.set`, which changes something")]
fn a_get_that_changes_something_ends_the_test() {
    let _ = Bench::<Rogue>::new().get("write");
}

#[test]
fn a_permission_without_its_scope_does_not_help() {
    let mut bench = Bench::<Rogue>::new();
    bench.permit(&[]);
    bench.post("", &[]).unwrap();
    bench.run();
    assert_eq!(bench.job("work").text, "This is not included in your plan.");
}

/// A plugin whose step decides anew each time it runs.
struct Fickle;

#[derive(Serialize, Deserialize)]
struct Flip;

thread_local!(static RUNS: std::cell::Cell<u8> = const { std::cell::Cell::new(0) });

impl JobKind for Flip {
    const KIND: &'static str = "flip";

    fn advance(self, _: &Context, _: &Job, _: &Event) -> Result<Step, Error> {
        RUNS.set(RUNS.get() + 1);
        let task = if RUNS.get() == 1 {
            power::stop()?
        } else {
            power::start()?
        };
        Step::wait_for(task, &Flip, "Flipping")
    }
}

impl Feature for Fickle {
    fn describe() -> Description {
        Description::new("fickle", "1.0.0", "Fickle")
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        jobs::Spec::new(&Flip, "Flipping")?.exclusive("flip").start()?;
        Ok(Response::redirect(""))
    }

    fn advance(cx: &Context, job: &Job, event: &Event) -> Step {
        Background::new(cx, job, event).kind::<Flip>().step()
    }
}

#[test]
#[should_panic(expected = "decide in one step, act in the next")]
fn a_step_that_decides_anew_after_a_crash_ends_the_test() {
    let mut bench = Bench::<Fickle>::new();
    bench.crash_every_step();
    bench.post("", &[]).unwrap();
    bench.run();
}

#[test]
fn a_job_of_an_unknown_kind_or_an_unreadable_state_fails_with_words() {
    let job = |kind: &str, state: &str| Job {
        id: "job-1".into(),
        kind: kind.into(),
        state: state.into(),
        step: 0,
        started: 0,
        attempt: 0,
    };
    let cx = portico_sdk::testing::context();
    for job in [
        job("other", "\"Begin\""),
        job("work", "{"),
        job("work", "\"End\""),
    ] {
        let (_, step) = hosted(|| Rogue::advance(&cx, &job, &Event::Started));
        let Step::Failed(failure) = step else {
            panic!("{step:?}")
        };
        assert!(!failure.retryable && !failure.reason.is_empty());
    }
}

#[test]
fn passing_errors_are_tried_again_and_others_are_not() {
    for (error, again) in [
        (Error::Unavailable, true),
        (Error::Busy("backup".into()), true),
        (Error::NotFound, false),
    ] {
        let mut bench = Bench::<Rogue>::new();
        bench.host.fail("power.stop", error);
        bench.post("", &[]).unwrap();
        bench.run();
        assert_eq!(bench.job("work").phase == jobs::Phase::Done, again);
    }
}
