//! Acknowledged means on disk: a writing process is killed at random moments.
//!
//! The child is this test binary, told by an environment variable to open the store and to write for as long
//! as it lives, printing each acknowledgement. It has no chance to tidy up when SIGKILL comes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::store::sled::{SledOptions, SledStore};
use crate::store::{Batch, DueQueue, Key, Scan, Store, StoreError, StoreExt, Table};

const DIRECTORY: &str = "PORTICO_TEST_WRITE_UNTIL_KILLED";
const CHILD: &str = "store::conformance::durability::child_that_writes_until_it_is_killed";
const FULL_CHILD: &str = "store::conformance::durability::child_that_writes_until_the_disk_is_full";
const WRITERS: u64 = 6;
const ROUNDS: u64 = 12;

/// Each write of a writer replaces its state, adds a row and moves its place in a queue: three tables.
async fn write_for_ever(store: SledStore, writer: u64) {
    let queue = DueQueue::new(std::sync::Arc::new(store.clone()), "work");
    let state = Key::text("state").number(writer);
    let mut count = match store.get(Table::Meta, &state).await.unwrap() {
        Some(record) => std::str::from_utf8(&record.value)
            .unwrap()
            .parse::<u64>()
            .unwrap(),
        None => 0,
    };
    loop {
        count += 1;
        let mut batch = Batch::new();
        batch.put(Table::Meta, &state, count.to_string());
        // Some values are so large that an engine may treat them differently.
        let size = if count % 16 == 3 {
            300_000
        } else {
            usize::try_from(count % 700).unwrap()
        };
        batch.insert(
            Table::Jobs,
            Key::text("row").number(writer).number(count),
            vec![count.to_le_bytes()[0]; size],
        );
        if count > 40 {
            batch.delete(Table::Jobs, Key::text("row").number(writer).number(count - 40));
        }
        let due = jiff::Timestamp::from_second(i64::try_from(count).unwrap()).unwrap();
        queue
            .schedule(&mut batch, &format!("w{writer}"), due)
            .await
            .unwrap();
        store.apply(batch).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "ACK {writer} {count}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
#[ignore = "writes until it is killed; the test below starts it"]
fn child_that_writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SledStore::open(&SledOptions::new(directory)).unwrap();
        println!("OPEN");
        let writers = (0..WRITERS).map(|writer| write_for_ever(store.clone(), writer));
        futures_util::future::join_all(writers).await;
    });
}

/// Runs the child, kills it `after` it has opened the store, and returns the last acknowledgement of each
/// writer.
fn run_and_kill(directory: &Path, after: Duration) -> HashMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.by_ref() {
        if line.unwrap().contains("OPEN") {
            break;
        }
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Not waiting for a condition: this is the random moment.
            std::thread::sleep(after);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        let mut acknowledged = HashMap::new();
        // The last line may be cut off in the middle; only whole ones count, and a cut-off number is one that
        // does not parse or a smaller one, which is acknowledged as well.
        for line in lines.map_while(Result::ok) {
            let mut words = line.split_whitespace();
            if words.next() != Some("ACK") {
                continue;
            }
            if let (Some(Ok(writer)), Some(Ok(count))) =
                (words.next().map(str::parse), words.next().map(str::parse))
            {
                let last: &mut u64 = acknowledged.entry(writer).or_default();
                *last = (*last).max(count);
            }
        }
        acknowledged
    })
}

/// Checks that what was acknowledged is there and that nothing is there by halves; returns the counts.
async fn check(directory: &Path, acknowledged: &HashMap<u64, u64>) -> HashMap<u64, u64> {
    let store = SledStore::open(&SledOptions::new(directory)).unwrap();
    let queue = DueQueue::new(std::sync::Arc::new(store.clone()), "work");
    let mut counts = HashMap::new();
    for writer in 0..WRITERS {
        let state = store
            .get(Table::Meta, &Key::text("state").number(writer))
            .await
            .unwrap();
        let count = state.map_or(0, |state| {
            std::str::from_utf8(&state.value).unwrap().parse::<u64>().unwrap()
        });
        let last = acknowledged.get(&writer).copied().unwrap_or(0);
        // One batch may be on disk whose acknowledgement was not printed any more.
        assert!(
            count == last || count == last + 1,
            "writer {writer}: {count} there, {last} acknowledged"
        );
        let rows = store
            .scan(&Scan::prefix(Table::Jobs, Key::text("row").number(writer)))
            .await
            .unwrap()
            .entries;
        let expected = count.saturating_sub(39).max(1)..=count;
        assert_eq!(
            rows.len() as u64,
            expected.clone().count() as u64,
            "rows of writer {writer} at {count}"
        );
        for (row, n) in rows.iter().zip(expected) {
            assert_eq!(row.key, Key::text("row").number(writer).number(n));
            assert!(row.record.value.iter().all(|&byte| byte == n.to_le_bytes()[0]));
        }
        if count > 0 {
            let due = queue.standing(&format!("w{writer}")).await.unwrap().unwrap().due;
            assert_eq!(due.as_second(), i64::try_from(count).unwrap());
        }
        counts.insert(writer, count);
    }
    let index = store
        .scan(&Scan::table(Table::DueIndex))
        .await
        .unwrap()
        .entries
        .len();
    assert_eq!(index, counts.values().filter(|&&count| count > 0).count());
    store.delete(Table::Meta, &Key::text("nothing")).await.unwrap();
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_a_kill_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for _ in 0..ROUNDS {
        let after = Duration::from_micros(random.random_range(500..250_000));
        let mut acknowledged = run_and_kill(directory.path(), after);
        for (writer, count) in &counts {
            acknowledged.entry(*writer).or_insert(*count);
        }
        counts = check(directory.path(), &acknowledged).await;
    }
    assert!(
        counts.values().sum::<u64>() > ROUNDS,
        "the child hardly wrote: {counts:?}"
    );
}

#[test]
#[ignore = "writes until it may not any more; the test below starts it"]
fn child_that_writes_until_the_disk_is_full() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stopped = runtime.block_on(async {
        let store = SledStore::open(&SledOptions::new(directory)).unwrap();
        let mut failures = 0;
        for n in 0..100_000_u64 {
            match store
                .put(Table::Jobs, &Key::text("row").number(n), vec![7; 3000].into())
                .await
            {
                Ok(_) => {
                    assert_eq!(failures, 0, "nothing is acknowledged after a failed flush");
                    println!("ACK {n}");
                }
                Err(StoreError::Unavailable { .. }) => failures += 1,
                Err(error) => panic!("{error}"),
            }
            if failures == 3 {
                return true;
            }
        }
        false
    });
    if stopped {
        println!("STOPPED");
    }
    std::io::stdout().flush().unwrap();
    // Without tidying up: what was acknowledged must be there all the same.
    std::process::exit(0);
}

/// A limit on the size of a file stands in for the full disk: the write fails in the middle, with an error.
#[tokio::test]
async fn a_full_disk_stops_acknowledging_and_loses_nothing_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            FULL_CHILD,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIRECTORY, directory.path())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("STOPPED"), "{text}");
    let acknowledged: Vec<u64> = text
        .lines()
        .filter_map(|line| line.split("ACK ").nth(1))
        .map(|n| n.parse().unwrap())
        .collect();
    assert!(acknowledged.len() > 50, "{text}");
    let store = SledStore::open(&SledOptions::new(directory.path())).unwrap();
    for n in acknowledged {
        let row = store.get(Table::Jobs, &Key::text("row").number(n)).await.unwrap();
        assert_eq!(row.unwrap().value, vec![7; 3000]);
    }
    store
        .put(Table::Jobs, &Key::text("after"), "x".into())
        .await
        .unwrap();
}
