//! Does what a probe asks for and compares.

use std::time::{Duration, Instant};

use crate::probe::{Probe, Step};
use crate::stage::{ANNAS, Answer, BENS, Customer, Stage, log_length, logged};

/// What no customer may read, whatever went wrong: words of plugins, of WebAssembly, of the machine.
const NEVER: &[&str] = &[
    "HOSTILE",
    "wasm",
    "backtrace",
    "panicked",
    "cabi_realloc",
    "unreachable",
    "Stack",
];
/// How long the page that is asked for again may take to have what it should.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a busy machine may add to another customer's page, half of the times and at worst. The clients of the test run
/// on the same threads as the panel, and each of their steps waits for its turn as well.
const NOISE: Duration = Duration::from_millis(500);
const WORST_NOISE: Duration = Duration::from_secs(3);
/// How many times as long as usual it may take.
const RATIO: u32 = 6;

/// How long the overview takes when nothing else happens.
pub(crate) struct Usual(Duration);

impl Usual {
    pub(crate) async fn measure(stage: &Stage) -> Self {
        let mut times = Vec::new();
        for _ in 0..12 {
            times.push(overview(stage).await.expect("the overview is served").took);
        }
        times.sort();
        Self(times.get(times.len() / 2).copied().unwrap_or_default())
    }

    /// What is wrong with the times of another customer's pages.
    fn exceeded(&self, times: &mut [Duration]) -> Option<String> {
        times.sort();
        let (Some(half), Some(worst)) = (times.get(times.len() / 2), times.last()) else {
            return Some("no overview of another customer was asked for".to_owned());
        };
        let usual = self.0;
        let exceeded = *half > usual * RATIO + NOISE || *worst > usual * RATIO + WORST_NOISE;
        exceeded.then(|| {
            let count = times.len();
            format!("another customer's overview took {half:?}, {worst:?} at worst ({count} times); usual are {usual:?}")
        })
    }
}

/// The overview of Ben, who has nothing to do with the probe.
async fn overview(stage: &Stage) -> Result<Answer, String> {
    let answer = stage.ben.ask(&stage.page(BENS, "overview", ""), None).await;
    if answer.status == 200 && answer.text.contains("ben.example.net") {
        Ok(answer)
    } else {
        Err(format!(
            "the overview of another customer answered {}",
            answer.status
        ))
    }
}

/// Tries to install what must not install.
pub(crate) async fn refused(stage: &Stage, probe: &Probe) -> Vec<String> {
    let mut failures = Vec::new();
    let wanted = probe
        .expected
        .install
        .as_ref()
        .map_or("", |install| install.refused.as_str());
    let text = stage.provider(&[probe]);
    match stage.apply(&text).await {
        Ok(()) => failures.push("it was installed".to_owned()),
        Err(error) => {
            let text = format!("{}\n{}", error.message, error.hint);
            if !text.contains(wanted) {
                failures.push(format!("the refusal lacks `{wanted}`: {text}"));
            }
        }
    }
    let answer = stage.anna.ask(&stage.page(ANNAS, &probe.id, ""), None).await;
    if answer.status != 404 {
        failures.push(format!("its page answers {} after the refusal", answer.status));
    }
    if let Err(error) = overview(stage).await {
        failures.push(error);
    }
    named(probe, failures)
}

/// Asks an installed probe for what its folder says.
pub(crate) async fn probe(stage: &Stage, probe: &Probe, usual: &Usual) -> Vec<String> {
    let mut failures = Vec::new();
    for (number, step) in probe.expected.step.iter().enumerate() {
        let name = |failure| format!("step {}: {failure}", number + 1);
        failures.extend(one(stage, probe, step, usual).await.into_iter().map(name));
    }
    named(probe, failures)
}

fn named(probe: &Probe, failures: Vec<String>) -> Vec<String> {
    failures
        .into_iter()
        .map(|failure| format!("{}: {failure}", probe.id))
        .collect()
}

async fn one(stage: &Stage, probe: &Probe, step: &Step, usual: &Usual) -> Vec<String> {
    let mut failures = Vec::new();
    let before = match &step.outcome {
        Some(outcome) => stage.calls(&probe.id, &step.export, outcome).await,
        None => 0,
    };
    let log_from = log_length();
    if let Some(path) = &step.silent {
        stage.simulator.control().inject(pve_sim::Fault::Latency {
            milliseconds: 30_000,
            path: Some(path.clone()),
        });
    }
    let (answers, meanwhile) = beside(stage, requests(stage, probe, step)).await;
    stage.simulator.control().clear_faults();
    for answer in &answers {
        failures.extend(compare(step, answer));
    }
    match meanwhile {
        Ok(mut times) => failures.extend(usual.exceeded(&mut times)),
        Err(error) => failures.push(error),
    }
    failures.extend(told(stage, probe, step, before, log_from).await);
    failures
}

/// Waits for the requests of a probe and asks for another customer's overview meanwhile. Returns how long each took.
async fn beside(
    stage: &Stage,
    requests: impl Future<Output = Vec<Answer>>,
) -> (Vec<Answer>, Result<Vec<Duration>, String>) {
    let mut requests = std::pin::pin!(requests);
    let mut done = None;
    let mut times = Vec::new();
    loop {
        let asked = overview(stage);
        let answer = match &done {
            None => {
                let mut asked = std::pin::pin!(asked);
                tokio::select! {
                    biased;
                    answer = &mut asked => answer,
                    answers = &mut requests => {
                        done = Some(answers);
                        asked.await
                    }
                }
            }
            Some(_) => asked.await,
        };
        match answer {
            Ok(answer) => times.push(answer.took),
            Err(error) => {
                let answers = match done {
                    Some(answers) => answers,
                    None => requests.await,
                };
                return (answers, Err(error));
            }
        }
        if let Some(answers) = done {
            return (answers, Ok(times));
        }
    }
}

async fn requests(stage: &Stage, probe: &Probe, step: &Step) -> Vec<Answer> {
    let who = |name: &str| -> (&Customer, &str) {
        if name == "ben" {
            (&stage.ben, BENS)
        } else {
            (&stage.anna, ANNAS)
        }
    };
    let (customer, own) = who(&step.by);
    let service = step.service_of.as_deref().map_or(own, |owner| who(owner).1);
    let fill = |text: &str| text.replace("{ben}", BENS).replace("{anna}", ANNAS);
    let url = stage.page(service, &probe.id, &fill(&step.path));
    let form = step.form.as_ref().map(|form| {
        form.iter()
            .map(|(name, value)| (fill(name), fill(value)))
            .collect::<std::collections::BTreeMap<_, _>>()
    });
    if step.until {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = customer.ask(&url, form.as_ref()).await;
            if compare(step, &answer).is_empty() || Instant::now() > deadline {
                return vec![answer];
            }
        }
    }
    let mut asked: Vec<_> = (0..step.times)
        .map(|_| Box::pin(customer.ask(&url, form.as_ref())))
        .collect();
    let mut answers = Vec::new();
    // Polled together: each is a connection of its own.
    while !asked.is_empty() {
        let (answer, at) = std::future::poll_fn(|context| {
            for (at, future) in asked.iter_mut().enumerate() {
                if let std::task::Poll::Ready(answer) = future.as_mut().poll(context) {
                    return std::task::Poll::Ready((answer, at));
                }
            }
            std::task::Poll::Pending
        })
        .await;
        answers.push(answer);
        drop(asked.swap_remove(at));
    }
    answers
}

/// What the customer sees.
fn compare(step: &Step, answer: &Answer) -> Vec<String> {
    let mut failures = Vec::new();
    let Answer {
        status,
        request_id,
        text,
        took,
    } = answer;
    if *status != step.status {
        failures.push(format!("the customer got {status}, not {}", step.status));
    }
    if *took > Duration::from_millis(step.within) {
        failures.push(format!("the answer took {took:?}"));
    }
    if request_id.is_empty() {
        failures.push("the answer has no request id".to_owned());
    }
    let calm = match status {
        500 | 502 => ["Something went wrong", request_id.as_str()].as_slice().to_vec(),
        403 => vec!["Access Denied"],
        _ => Vec::new(),
    };
    let shows = step.shows.iter().map(String::as_str).chain(calm);
    for part in shows.filter(|part| !text.contains(*part)) {
        failures.push(format!("the page lacks `{part}`: {}", content(text)));
    }
    let hides = step.hides.iter().map(String::as_str).chain(NEVER.iter().copied());
    for part in hides.filter(|part| text.contains(*part)) {
        failures.push(format!("the page has `{part}`: {}", content(text)));
    }
    failures
}

/// The part of a page that is about its plugin, for a failure.
fn content(text: &str) -> String {
    let main = text.split_once("<main").map_or(text, |(_, main)| main);
    main.chars().take(1_500).collect()
}

/// What the provider is told.
async fn told(stage: &Stage, probe: &Probe, step: &Step, before: u64, log_from: usize) -> Vec<String> {
    let mut failures = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    if let Some(outcome) = &step.outcome {
        // A job's step comes some time after the form that started it.
        loop {
            let after = stage.calls(&probe.id, &step.export, outcome).await;
            if after > before {
                break;
            }
            if Instant::now() > deadline {
                failures.push(format!("no call of `{}` was counted as `{outcome}`", step.export));
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    if let Some(part) = &step.log {
        let log = logged(log_from);
        if !log.contains(part.as_str()) {
            let about: Vec<_> = log
                .lines()
                .filter(|line| line.contains(&probe.id))
                .take(5)
                .collect();
            failures.push(format!("the log lacks `{part}`: {}", about.join("\n")));
        }
    }
    failures
}
