//! The client while things go wrong: each call with each fault, and at random.
//!
//! Each round makes one call while one thing is wrong, and holds the result against a model: which kinds of errors are
//! right for which fault, that a write is done once at most, that an error which says so did nothing, and that
//! everything works again afterwards. `PORTICO_FAULT_SEED` repeats a run, `PORTICO_FAULT_ROUNDS` makes it longer.
//!
//! `call` has the calls, `wrong` what goes wrong, `model` what is right, `field` the simulator and the way back, `dice`
//! the chance. To add a call or a fault: a variant there, and what is right in `model`.

mod call;
mod dice;
mod field;
mod model;
mod wrong;

use std::fmt;

use portico_proxmox::{BackupFailure, Error, Reason, RestoreFailure, Upid};
use pve_sim::{Action, Major};

use self::call::{Call, LIFE, READS, WRITES};
use self::dice::Dice;
use self::field::Field;
use self::model::{End, model, right_end};
use self::wrong::{WRONGS, Wrong};
use crate::lab::{end, id, majors};

struct Round {
    seed: u64,
    number: u64,
    major: Major,
    call: Call,
    wrong: Wrong,
    /// Whether the client has to look for the VM's node first.
    cold: bool,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PORTICO_FAULT_SEED={} round {} on {:?}: {:?}{} while {:?}",
            self.seed,
            self.number,
            self.major,
            self.call,
            if self.cold { " with a look-up" } else { "" },
            self.wrong
        )
    }
}

async fn play(field: &Field, round: &Round) {
    let (call, wrong) = (round.call, round.wrong);
    field.restore(call).await;
    field.tidy(call).await;
    // What is known of the nodes, and the connections, are those of a panel in use.
    field.client.vm(id(call.vmid())).status().await.unwrap();
    field.hasty.vm_resources().await.ok();
    let client = if matches!(wrong, Wrong::TooSlow | Wrong::ListTooSlow) {
        &field.hasty
    } else {
        &field.client
    };
    if round.cold {
        client.forget_node(id(call.vmid()));
    }
    field.control.reset_counters();
    field.spoil(wrong, call);
    let result = call.make(client, round.number).await;
    let ends = model(wrong, call);
    let got = End::of(&result);
    assert!(ends.contains(&got), "{round}: {result:?}, right were {ends:?}");
    if let Err(error) = &result
        && wrong.is_of_the_list()
    {
        assert!(
            !error.may_have_happened(),
            "{round}: {error} is only about the list"
        );
    }
    if let Ok(Some(upid)) = &result
        && !matches!(wrong, Wrong::NodeOff | Wrong::BothEndpointsShut | Wrong::ApiDown)
    {
        if wrong == Wrong::TaskSticks {
            field.client.stop_task(upid).await.unwrap();
        }
        let state = end(&field.client, upid).await;
        assert!(right_end(wrong, call, &state), "{round}: {state:?}");
        if wrong == Wrong::StorageFull && matches!(call, Call::Backup | Call::Restore) {
            assert_eq!(why(field, upid).await, Some(Reason::StorageFull), "{round}");
        }
        if let Some((effect, vmid)) = call.outcome() {
            let count = field.control.effect_count(effect, vmid, None);
            assert_eq!(count, u64::from(state.is_success()), "{round}: {state:?}");
        }
    }
    field.restore(call).await;
    if call.writes() {
        let done = call.done(&field.control);
        assert!(done <= 1, "{round}: done {done} times");
        match &result {
            Ok(_) => assert_eq!(done, 1, "{round}: reported as done"),
            Err(error) if !error.may_have_happened() => {
                assert_eq!(done, 0, "{round}: {error} says that nothing happened");
            }
            Err(_) => {}
        }
    }
    let again = field.client.vm(id(call.vmid())).status().await;
    assert!(again.is_ok(), "{round}: afterwards {again:?}");
    if !call.writes() {
        let again = call.make(&field.client, round.number).await;
        assert!(again.is_ok(), "{round}: again {again:?}");
    }
}

/// What the log says about why a backup or a restore failed.
async fn why(field: &Field, upid: &Upid) -> Option<Reason> {
    let log = field.client.task_log(upid, 0, 500).await.unwrap();
    if let Some(failure) = RestoreFailure::of_log(&log.lines).filter(|_| upid.kind() == "qmrestore") {
        return Some(failure.reason);
    }
    BackupFailure::of_log(&log.lines, upid.vmid()?).map(|failure| failure.reason)
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[tokio::test]
async fn every_read_and_small_write_under_every_fault_ends_as_it_should() {
    every(&[&READS[..], &WRITES[..]].concat(), &majors()).await;
}

#[tokio::test]
async fn every_great_write_under_every_fault_ends_as_it_should() {
    // Their tasks are long: the random rounds make them on both major versions.
    let newest = majors().into_iter().next_back();
    every(&LIFE, newest.as_slice()).await;
}

/// Each call under each fault, once; no write is done twice.
async fn every(calls: &[Call], majors: &[Major]) {
    for &major in majors {
        let field = Field::new(major).await;
        let mut number = 0;
        for wrong in WRONGS {
            for &call in calls {
                number += 1;
                let round = Round {
                    seed: 0,
                    number,
                    major,
                    call,
                    wrong,
                    cold: wrong.is_of_the_list(),
                };
                play(&field, &round).await;
            }
        }
        field.handle.shutdown().await;
    }
}

#[tokio::test]
async fn calls_under_random_faults_end_as_they_should() {
    let seed = from_env("PORTICO_FAULT_SEED").unwrap_or_else(other_each_time);
    let rounds = from_env("PORTICO_FAULT_ROUNDS").unwrap_or(150);
    for major in majors() {
        let mut dice = Dice(seed);
        let field = Field::new(major).await;
        for number in 1..=rounds {
            let calls = dice.pick(&[&READS[..], &WRITES[..], &LIFE[..]]);
            let (call, wrong) = (dice.pick(calls), dice.pick(&WRONGS));
            let round = Round {
                seed,
                number,
                major,
                call,
                wrong,
                cold: wrong.is_of_the_list() || dice.pick(&[true, false]),
            };
            play(&field, &round).await;
        }
        field.handle.shutdown().await;
    }
}

#[tokio::test]
async fn a_certificate_that_changed_is_not_trusted_and_nothing_is_sent() {
    for major in majors() {
        let field = Field::new(major).await;
        field.client.version().await.unwrap();
        field.act(Action::RenewCertificate);
        field.control.reset_counters();
        // Of a connection that was open when the certificate changed the first call tells that it broke.
        let broken = field.client.version().await.unwrap_err();
        assert!(
            matches!(broken, Error::Transport { .. } | Error::Tls { .. }),
            "{broken}"
        );
        for call in READS.into_iter().chain(WRITES).chain(LIFE) {
            let error = call.make(&field.client, 1).await.unwrap_err();
            assert!(matches!(error, Error::Tls { .. }), "{call:?}: {error:?}");
            assert!(!error.may_have_happened() && !error.is_transient_read());
        }
        assert_eq!(field.control.request_count(), 0);
        field.handle.shutdown().await;
    }
}

/// A seed that differs from run to run.
fn other_each_time() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}
