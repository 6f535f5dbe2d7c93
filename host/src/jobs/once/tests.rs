use std::sync::Mutex;

use jiff::Timestamp;

use super::*;
use crate::clock::ManualClock;
use crate::jobs::record::JobId;
use crate::store::MemoryStore;

/// A node that keeps the tasks it was asked for and can lose its answers.
#[derive(Default)]
struct Node {
    tasks: Mutex<Vec<String>>,
    lose: Mutex<Vec<Loss>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Loss {
    BeforeEffect,
    AfterEffect,
    Refused,
}

#[async_trait]
impl Starter for Node {
    async fn start(&self, _: &Operation) -> Result<String, StartFailure> {
        let loss = self.lose.lock().unwrap().pop();
        let failure = |may_have_happened| StartFailure {
            message: "lost".into(),
            may_have_happened,
            kind: FailureKind::Unavailable,
        };
        match loss {
            Some(Loss::Refused) => return Err(failure(false)),
            Some(Loss::BeforeEffect) => return Err(failure(true)),
            _ => {}
        }
        let mut tasks = self.tasks.lock().unwrap();
        let upid = format!("upid-{}", tasks.len());
        tasks.push(upid.clone());
        if loss == Some(Loss::AfterEffect) {
            Err(failure(true))
        } else {
            Ok(upid)
        }
    }

    async fn known(&self, _: &[&str]) -> Result<Vec<String>, StartFailure> {
        Ok(self.tasks.lock().unwrap().clone())
    }
}

struct Bench {
    clock: Arc<dyn Clock>,
    manual: ManualClock,
    journal: Journal,
    node: Node,
}

fn bench(losses: &[Loss]) -> Bench {
    let manual = ManualClock::default();
    let clock: Arc<dyn Clock> = Arc::new(manual.clone());
    let job = JobId::new(Timestamp::UNIX_EPOCH, [1; 10]);
    let journal = Journal::new(Arc::new(MemoryStore::new()), Arc::clone(&clock), job, 3);
    let node = Node {
        lose: Mutex::new(losses.iter().rev().copied().collect()),
        ..Node::default()
    };
    Bench {
        clock,
        manual,
        journal,
        node,
    }
}

impl Bench {
    async fn call(&self, operation: &Operation) -> Result<TaskRef, OnceError> {
        let work = once(
            &self.journal,
            &self.clock,
            &self.node,
            0,
            operation,
            Duration::from_secs(5),
        );
        let tick = async {
            loop {
                tokio::task::yield_now().await;
                self.manual.advance(Duration::from_millis(500));
            }
        };
        tokio::select! { result = work => result, () = tick => unreachable!() }
    }

    fn count(&self) -> usize {
        self.node.tasks.lock().unwrap().len()
    }
}

#[tokio::test]
async fn a_call_that_is_repeated_returns_the_first_task() {
    let bench = bench(&[]);
    let first = bench.call(&Operation::Start).await.unwrap();
    assert_eq!(bench.call(&Operation::Start).await.unwrap(), first);
    assert_eq!(bench.count(), 1);
    assert_eq!(bench.journal.task("3-0").await.unwrap(), Some(first));
}

#[tokio::test]
async fn an_answer_that_was_lost_after_the_effect_is_found_and_not_repeated() {
    let bench = bench(&[Loss::AfterEffect]);
    assert_eq!(bench.call(&Operation::Start).await.unwrap().upid, "upid-0");
    assert_eq!(bench.count(), 1);
}

#[tokio::test]
async fn a_request_that_was_lost_before_the_effect_is_an_error_and_may_be_made_again() {
    let bench = bench(&[Loss::BeforeEffect]);
    let error = bench.call(&Operation::Start).await.unwrap_err();
    assert!(
        matches!(
            error,
            OnceError::Start(StartFailure {
                may_have_happened: false,
                ..
            })
        ),
        "{error}"
    );
    assert_eq!(bench.count(), 0);
    assert_eq!(bench.call(&Operation::Start).await.unwrap().upid, "upid-0");
}

#[tokio::test]
async fn a_refusal_leaves_nothing_in_the_journal() {
    let bench = bench(&[Loss::Refused]);
    bench.call(&Operation::Start).await.unwrap_err();
    assert_eq!(bench.journal.entry(0).await.unwrap(), None);
}

#[tokio::test]
async fn an_intent_from_before_a_crash_adopts_only_a_task_that_was_not_known_then() {
    let bench = bench(&[]);
    bench.node.tasks.lock().unwrap().push("old".into());
    bench
        .journal
        .intend(0, &Operation::Start, vec!["old".into()])
        .await
        .unwrap();
    bench.node.tasks.lock().unwrap().push("ours".into());
    assert_eq!(bench.call(&Operation::Start).await.unwrap().upid, "ours");
    assert_eq!(bench.count(), 2);
}

#[tokio::test]
async fn an_intent_from_before_a_crash_without_a_task_is_done_after_the_grace() {
    let bench = bench(&[]);
    bench.journal.intend(0, &Operation::Start, vec![]).await.unwrap();
    // The request may have left a moment before the crash, however old the intent was then.
    bench.manual.advance(Duration::from_mins(1));
    let before = bench.clock.now();
    bench.call(&Operation::Start).await.unwrap();
    assert_eq!(bench.count(), 1);
    assert!(bench.clock.now() >= later(before, Duration::from_secs(5)));
}

#[tokio::test]
async fn a_step_that_asks_for_something_else_after_a_crash_does_nothing() {
    let bench = bench(&[]);
    bench.journal.intend(0, &Operation::Start, vec![]).await.unwrap();
    assert!(matches!(
        bench.call(&Operation::Stop).await,
        Err(OnceError::Diverged)
    ));
    assert_eq!(bench.count(), 0);
}
