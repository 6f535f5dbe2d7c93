use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::domain::{PluginId, ServiceId};
use crate::jobs::calendar::Calendar;
use crate::jobs::engine::EngineConfig;
use crate::jobs::schedule::Schedules;
use crate::jobs::{
    Actor, Advance, AdvanceError, Advanced, Engine, Journal, Step, TaskOutcome, TaskRef, Tasks,
};
use crate::store::{MemoryStore, SharedStore};

/// A plugin that fails as often as it is told to, and remembers the states it was called with.
#[derive(Default)]
struct Plugin {
    failures: Mutex<u32>,
    states: Mutex<Vec<String>>,
}

#[async_trait]
impl Advance for Plugin {
    async fn advance(&self, job: &Job, _: Journal) -> Result<Advanced, AdvanceError> {
        self.states.lock().unwrap().push(job.state.clone());
        let step = if job.state == "waits" {
            Step::SleepUntil {
                until: crate::clock::later(SystemClock.now(), Duration::from_hours(1)),
                state: "waits".to_owned(),
                progress: crate::jobs::Progress::default(),
            }
        } else if job.state == "begun" {
            Step::Continue {
                state: "half".to_owned(),
                progress: crate::jobs::Progress::default(),
            }
        } else {
            let mut failures = self.failures.lock().unwrap();
            let fails = *failures > 0;
            *failures = failures.saturating_sub(1);
            if fails {
                Step::Failed {
                    reason: "The disk is full.".to_owned(),
                    retryable: false,
                }
            } else {
                Step::Done("It is done.".to_owned())
            }
        };
        Ok(Advanced {
            step,
            batch: Batch::new(),
        })
    }
}

/// A cluster that no job of these tests asks.
struct NoTasks;

#[async_trait]
impl Tasks for NoTasks {
    async fn node(&self, _: &Job) -> Option<String> {
        None
    }

    async fn job_ended(&self, _: &Job) {}

    async fn ended(&self, _: &Job, _: &TaskRef) -> TaskOutcome {
        std::future::pending().await
    }
}

/// An engine that runs.
struct Bench {
    store: SharedStore,
    jobs: Jobs,
    schedules: Schedules,
    plugin: Arc<Plugin>,
    stop: CancellationToken,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn bench(failures: u32) -> Bench {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let jobs = Jobs::new(Arc::clone(&store), Arc::new(SystemClock));
    let schedules = Schedules::new(jobs.clone());
    let plugin = Arc::new(Plugin {
        failures: Mutex::new(failures),
        ..Plugin::default()
    });
    let stop = CancellationToken::new();
    let engine = Engine::new(
        jobs.clone(),
        schedules.clone(),
        Arc::clone(&plugin) as _,
        Arc::new(NoTasks),
        EngineConfig::default(),
        "test".to_owned(),
        stop.clone(),
    );
    tokio::spawn(engine.run());
    Bench {
        store,
        jobs,
        schedules,
        plugin,
        stop,
    }
}

fn service() -> ServiceId {
    ServiceId::from_random([7; 16])
}

fn new() -> NewJob {
    NewJob {
        service: service(),
        plugin: plugin(),
        kind: "create".to_owned(),
        title: "Create a snapshot".to_owned(),
        operation: "a snapshot".to_owned(),
        state: "begun".to_owned(),
        key: Some("one".to_owned()),
        exclusive: true,
        deadline_secs: 600,
        actor: Actor::System,
    }
}

fn plugin() -> PluginId {
    "snapshots".parse().unwrap()
}

impl Bench {
    /// Waits for the end of a job.
    async fn ended(&self, id: &JobId) -> Job {
        for _ in 0..1_000 {
            let job = self.jobs.job(id).await.unwrap().unwrap();
            if job.phase.is_over() {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the job did not end");
    }
}

#[tokio::test]
async fn a_retry_runs_from_the_first_step_and_takes_the_place_of_what_failed() {
    let bench = bench(1);
    let first = bench.jobs.start(new()).await.unwrap();
    assert_eq!(bench.ended(&first).await.outcome, "The disk is full.");
    let failed = bench.jobs.failed(10).await.unwrap();
    assert_eq!(failed.iter().map(|job| &job.id).collect::<Vec<_>>(), [&first]);

    let second = bench.jobs.retry(&first).await.unwrap();
    assert_eq!(bench.ended(&second).await.phase, Phase::Done);
    assert_eq!(
        *bench.plugin.states.lock().unwrap(),
        ["begun", "half", "begun", "half"]
    );
    assert!(bench.jobs.failed(10).await.unwrap().is_empty());
    assert!(matches!(
        bench.jobs.retry(&first).await,
        Err(RetryError::NotFound(_))
    ));
    assert!(matches!(
        bench.jobs.retry(&second).await,
        Err(RetryError::NotFailed)
    ));
}

#[tokio::test]
async fn of_two_who_retry_at_once_one_does() {
    let bench = bench(1);
    let first = bench.jobs.start(new()).await.unwrap();
    bench.ended(&first).await;
    let (one, other) = tokio::join!(bench.jobs.retry(&first), bench.jobs.retry(&first));
    assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|ok| **ok).count(), 1);
}

#[tokio::test]
async fn a_retry_on_a_busy_service_or_of_work_under_way_is_refused_and_the_failed_job_stays() {
    let bench = bench(1);
    let first = bench.jobs.start(new()).await.unwrap();
    bench.ended(&first).await;
    // Nobody moves this one: its time has not come, but it holds the key.
    let later = crate::clock::later(SystemClock.now(), Duration::from_hours(1));
    bench.jobs.at(new(), later).await.unwrap();
    let refused = bench.jobs.retry(&first).await;
    assert!(matches!(refused, Err(RetryError::Start(StartError::KeyTaken(_)))));
    let holding = NewJob {
        state: "waits".to_owned(),
        key: None,
        ..new()
    };
    bench.jobs.start(holding).await.unwrap();
    bench.jobs.cancel(service(), &plugin(), "one").await.unwrap();
    let refused = bench.jobs.retry(&first).await;
    assert!(matches!(refused, Err(RetryError::Start(StartError::Busy(_)))));
    assert_eq!(bench.jobs.failed(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_dismissed_job_is_gone() {
    let bench = bench(1);
    let first = bench.jobs.start(new()).await.unwrap();
    bench.ended(&first).await;
    bench.jobs.dismiss(&first).await.unwrap();
    assert_eq!(bench.jobs.job(&first).await.unwrap(), None);
    assert!(matches!(
        bench.jobs.dismiss(&first).await,
        Err(RetryError::NotFound(_))
    ));
}

#[tokio::test]
async fn nothing_of_a_removed_service_is_left_and_others_keep_theirs() {
    let bench = bench(1);
    let ended = bench.jobs.start(new()).await.unwrap();
    bench.ended(&ended).await;
    let later = crate::clock::later(SystemClock.now(), Duration::from_hours(1));
    bench.jobs.at(new(), later).await.unwrap();
    let calendar = Calendar::new("UTC".to_owned(), vec![(1, 600)]).unwrap();
    bench.schedules.set("weekly", new(), calendar).await.unwrap();
    let other = NewJob {
        service: ServiceId::from_random([8; 16]),
        ..new()
    };
    let kept = bench.jobs.at(other, later).await.unwrap();

    bench.schedules.forget_service(service()).await.unwrap();
    bench.schedules.forget_service(service()).await.unwrap();

    assert!(bench.jobs.of_service(service()).await.unwrap().is_empty());
    assert!(
        bench
            .schedules
            .get(service(), &plugin(), "weekly")
            .await
            .unwrap()
            .is_none()
    );
    assert!(bench.jobs.job(&kept).await.unwrap().is_some());
    for (table, left) in [
        (Table::Jobs, 1),
        (Table::JobOwners, 1),
        (Table::JobKeys, 1),
        (Table::JobHolds, 0),
        (Table::Schedules, 0),
        (Table::DueEntries, 1),
        (Table::DueIndex, 1),
    ] {
        let page = bench.store.scan(&Scan::table(table)).await.unwrap();
        assert_eq!(page.entries.len(), left, "{table}");
    }
}
