//! The client while things go wrong at random.
//!
//! Each round makes one call while one thing is wrong, and holds the result against a model: which kinds of errors are
//! right for which fault, that a write is done once at most, that an error which says so did nothing, and that
//! everything works again afterwards. `PORTICO_FAULT_SEED` repeats a run, `PORTICO_FAULT_ROUNDS` makes it longer.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_proxmox::{
    ApiToken, Client, CloneOptions, ClusterConfig, ConfigUpdate, Error, FirewallDirection,
    FirewallOptionsUpdate, FirewallPolicy, Lock, NewBackup, NewSnapshot, NoObserver, Reason, Restore,
    RuleDraft, RulePlace, Secret, TaskFilter, TaskState, Timeouts, Trust, Upid,
};
use pve_sim::{Action, Control, Effect, Fault, Major, Moment, Options, Simulator};

use crate::gate::{Gate, Way};
use crate::lab::{PANEL, end, id, majors, node, snapshot, storage};

/// Numbers that look random and come back with the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        let at = self.roll() % among.len() as u64;
        among[usize::try_from(at).unwrap()]
    }
}

const TEMPLATE: u32 = 9000;
/// What the template is copied to.
const COPY: u32 = 2000;
/// A copy of the template that is there to be destroyed.
const DOOMED: u32 = 2001;
/// A backup of a scenario's VM without disks.
const ARCHIVE: &str = "backups:backup/vm/100/2026-08-20T03:00:01Z";

/// A call of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Version,
    Resources,
    Status,
    Config,
    Snapshots,
    Tasks,
    Content,
    Firewall,
    Ping,
    Start,
    Stop,
    Reset,
    Snapshot,
    Describe,
    Update,
    FirewallOptions,
    Rule,
    Password,
    Console,
    Clone,
    Destroy,
    Resize,
    Backup,
    Restore,
}

const READS: [Call; 9] = [
    Call::Version,
    Call::Resources,
    Call::Status,
    Call::Config,
    Call::Snapshots,
    Call::Tasks,
    Call::Content,
    Call::Firewall,
    Call::Ping,
];
const WRITES: [Call; 7] = [
    Call::Start,
    Call::Stop,
    Call::Reset,
    Call::Snapshot,
    Call::Describe,
    Call::Update,
    Call::FirewallOptions,
];

/// Writes as well: those of a VM's whole life, of its guest and of its screen.
const LIFE: [Call; 8] = [
    Call::Rule,
    Call::Password,
    Call::Console,
    Call::Clone,
    Call::Destroy,
    Call::Resize,
    Call::Backup,
    Call::Restore,
];

impl Call {
    fn writes(self) -> bool {
        !READS.contains(&self)
    }

    /// Method and path, by which faults are aimed.
    fn endpoint(self) -> (&'static str, &'static str) {
        match self {
            Self::Version => ("GET", "/version"),
            Self::Resources => ("GET", "/cluster/resources"),
            Self::Status => ("GET", "/nodes/{node}/qemu/{vmid}/status/current"),
            Self::Config => ("GET", "/nodes/{node}/qemu/{vmid}/config"),
            Self::Snapshots => ("GET", "/nodes/{node}/qemu/{vmid}/snapshot"),
            Self::Tasks => ("GET", "/nodes/{node}/tasks"),
            Self::Content => ("GET", "/nodes/{node}/storage/{storage}/content"),
            Self::Firewall => ("GET", "/nodes/{node}/qemu/{vmid}/firewall/rules"),
            Self::Ping => ("POST", "/nodes/{node}/qemu/{vmid}/agent/ping"),
            Self::Start => ("POST", "/nodes/{node}/qemu/{vmid}/status/start"),
            Self::Stop => ("POST", "/nodes/{node}/qemu/{vmid}/status/stop"),
            Self::Reset => ("POST", "/nodes/{node}/qemu/{vmid}/status/reset"),
            Self::Snapshot => ("POST", "/nodes/{node}/qemu/{vmid}/snapshot"),
            Self::Describe => ("PUT", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config"),
            Self::Update => ("PUT", "/nodes/{node}/qemu/{vmid}/config"),
            Self::FirewallOptions => ("PUT", "/nodes/{node}/qemu/{vmid}/firewall/options"),
            Self::Rule => ("POST", "/nodes/{node}/qemu/{vmid}/firewall/rules"),
            Self::Password => ("POST", "/nodes/{node}/qemu/{vmid}/agent/set-user-password"),
            Self::Console => ("POST", "/nodes/{node}/qemu/{vmid}/vncproxy"),
            Self::Clone => ("POST", "/nodes/{node}/qemu/{vmid}/clone"),
            Self::Destroy => ("DELETE", "/nodes/{node}/qemu/{vmid}"),
            Self::Resize => ("PUT", "/nodes/{node}/qemu/{vmid}/resize"),
            Self::Backup => ("POST", "/nodes/{node}/vzdump"),
            Self::Restore => ("POST", "/nodes/{node}/qemu"),
        }
    }

    fn vmid(self) -> u32 {
        match self {
            Self::Start | Self::Restore => 102,
            Self::Stop => 105,
            Self::Reset | Self::Resize => 101,
            Self::Clone | Self::Backup => TEMPLATE,
            Self::Destroy => DOOMED,
            _ => 100,
        }
    }

    /// What a task of it is called; none if it is done without one.
    fn task(self) -> Option<&'static str> {
        match self {
            Self::Start => Some("qmstart"),
            Self::Stop => Some("qmstop"),
            Self::Reset => Some("qmreset"),
            Self::Snapshot => Some("qmsnapshot"),
            Self::Console => Some("vncproxy"),
            Self::Clone => Some("qmclone"),
            Self::Destroy => Some("qmdestroy"),
            Self::Resize => Some("resize"),
            Self::Backup => Some("vzdump"),
            Self::Restore => Some("qmrestore"),
            _ => None,
        }
    }

    /// How often it was really done: tasks that began, or changes that were made.
    fn done(self, control: &Control) -> u64 {
        let effect = match self {
            Self::Describe => Effect::SnapshotDescribed,
            Self::Update => Effect::ConfigChanged,
            Self::FirewallOptions | Self::Rule => Effect::FirewallChanged,
            Self::Password => Effect::PasswordSet,
            _ => Effect::TaskStarted,
        };
        let name = match effect {
            Effect::TaskStarted => self.task(),
            _ => None,
        };
        control.effect_count(effect, self.vmid(), name)
    }

    /// What its task brings about at its end, and to which VM.
    fn outcome(self) -> Option<(Effect, u32)> {
        match self {
            Self::Clone => Some((Effect::Cloned, COPY)),
            Self::Destroy => Some((Effect::Destroyed, DOOMED)),
            Self::Resize => Some((Effect::Resized, 101)),
            Self::Backup => Some((Effect::BackupCreated, TEMPLATE)),
            Self::Restore => Some((Effect::Restored, 102)),
            _ => None,
        }
    }

    async fn make(self, client: &Client, round: u64) -> Result<Option<Upid>, Error> {
        let vm = client.vm(id(self.vmid()));
        match self {
            Self::Version => client.version().await.map(|_| None),
            Self::Resources => client.vm_resources().await.map(|_| None),
            Self::Status => vm.status().await.map(|_| None),
            Self::Config => vm.config().await.map(|_| None),
            Self::Snapshots => vm.snapshots().await.map(|_| None),
            Self::Tasks => {
                let filter = TaskFilter::default();
                client.tasks(&node("pve1"), &filter).await.map(|_| None)
            }
            Self::Content => {
                let (node, storage) = (node("pve1"), storage("local"));
                let content = client.storage_content(&node, &storage, None, None);
                content.await.map(|_| None)
            }
            Self::Firewall => vm.firewall_rules().await.map(|_| None),
            Self::Ping => vm.agent_ping().await.map(|_| None),
            Self::Start => vm.start().await.map(Some),
            Self::Stop => vm.stop(false).await.map(Some),
            Self::Reset => vm.reset().await.map(Some),
            Self::Snapshot => {
                let new = NewSnapshot {
                    name: snapshot(&format!("round-{round}")),
                    description: None,
                    with_memory: false,
                };
                vm.create_snapshot(&new).await.map(Some)
            }
            Self::Describe => {
                let (name, text) = (snapshot("before-upgrade"), format!("round {round}"));
                let done = vm.describe_snapshot(&name, &text);
                done.await.map(|()| None)
            }
            Self::Update => {
                let update = ConfigUpdate::new().set("description", &format!("round {round}"));
                vm.update_config(&update.unwrap()).await.map(|()| None)
            }
            Self::FirewallOptions => {
                let update = FirewallOptionsUpdate {
                    macfilter: Some(round.is_multiple_of(2)),
                    ..FirewallOptionsUpdate::default()
                };
                vm.set_firewall_options(update, None).await.map(|()| None)
            }
            Self::Rule => {
                let draft = RuleDraft::new(FirewallDirection::In, FirewallPolicy::Accept);
                vm.add_firewall_rule(&draft, RulePlace::Top, None)
                    .await
                    .map(|()| None)
            }
            Self::Password => {
                let password = Secret::new("correct horse battery");
                let set = vm.agent_set_password("debian", &password, false);
                set.await.map(|()| None)
            }
            Self::Console => vm.vnc_proxy().await.map(|_| None),
            Self::Clone => vm.clone_to(&CloneOptions::new(id(COPY))).await.map(Some),
            Self::Destroy => vm.destroy(true, true).await.map(Some),
            Self::Resize => {
                let slot = "scsi1".parse().unwrap();
                vm.resize(slot, (200 + round) << 30).await.map(Some)
            }
            Self::Backup => {
                let new = NewBackup::on(storage("backups"));
                vm.create_backup(&new).await.map(Some)
            }
            Self::Restore => {
                let restore = Restore::from(ARCHIVE.parse().unwrap()).unwrap();
                vm.restore(&restore).await.map(Some)
            }
        }
    }
}

/// What is wrong while the call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    Slow,
    TooSlow,
    CutBefore(u32),
    CutAfter(u32),
    Status(u16, u32),
    FlockHeld,
    Locked,
    TokenRevoked,
    FirstEndpointShut,
    BothEndpointsShut,
    NodeOff,
    VmMoved,
    TaskFails,
    TaskSticks,
    ClockSkewed,
    CfsLockHeld,
    StorageOffline,
}

const WRONGS: [Wrong; 26] = [
    Wrong::Nothing,
    Wrong::Slow,
    Wrong::TooSlow,
    Wrong::CutBefore(1),
    Wrong::CutBefore(9),
    Wrong::CutAfter(1),
    Wrong::CutAfter(9),
    Wrong::Status(595, 1),
    Wrong::Status(595, 9),
    Wrong::Status(596, 1),
    Wrong::Status(596, 9),
    Wrong::Status(597, 1),
    Wrong::Status(599, 1),
    Wrong::Status(599, 9),
    Wrong::FlockHeld,
    Wrong::Locked,
    Wrong::TokenRevoked,
    Wrong::FirstEndpointShut,
    Wrong::BothEndpointsShut,
    Wrong::NodeOff,
    Wrong::VmMoved,
    Wrong::TaskFails,
    Wrong::TaskSticks,
    Wrong::ClockSkewed,
    Wrong::CfsLockHeld,
    Wrong::StorageOffline,
];

/// The kinds of ends a call can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Ok,
    Unauthorized,
    Unreachable(u16),
    Connect,
    Transport,
    Timeout,
    LockTimeout,
    Locked,
    VmMissing,
    StorageUnavailable,
    Other,
}

impl End {
    fn of(result: &Result<Option<Upid>, Error>) -> Self {
        let Err(error) = result else { return Self::Ok };
        match error {
            Error::Unauthorized { .. } => Self::Unauthorized,
            Error::NodeUnreachable { code, .. } => Self::Unreachable(*code),
            Error::Connect { .. } => Self::Connect,
            Error::Transport { .. } => Self::Transport,
            Error::Timeout { .. } => Self::Timeout,
            _ if error.is_vm_missing() => Self::VmMissing,
            _ => match error.reason() {
                Some(Reason::LockTimeout) => Self::LockTimeout,
                Some(Reason::Locked(Lock::Backup)) => Self::Locked,
                Some(Reason::StorageUnavailable) => Self::StorageUnavailable,
                _ => Self::Other,
            },
        }
    }
}

/// The ends that are right for a call while something is wrong.
fn model(wrong: Wrong, call: Call) -> Vec<End> {
    let (write, on_node) = (call.writes(), call.endpoint().1.contains("{node}"));
    let takes_flock = matches!(call, Call::Update | Call::Describe);
    let looks_at_lock = matches!(call, Call::Clone | Call::Destroy | Call::Restore);
    let firewall = matches!(call, Call::FirewallOptions | Call::Rule);
    match wrong {
        Wrong::TooSlow => vec![End::Timeout],
        // A read is made twice, at the other endpoint the second time.
        Wrong::CutBefore(times) | Wrong::CutAfter(times) if write || times > 1 => vec![End::Transport],
        Wrong::Status(code, times) if write || times > 1 => vec![End::Unreachable(code)],
        Wrong::FlockHeld if takes_flock || call == Call::Restore => vec![End::LockTimeout],
        Wrong::Locked if takes_flock || looks_at_lock => vec![End::Locked],
        Wrong::CfsLockHeld if firewall => vec![End::LockTimeout],
        Wrong::StorageOffline if call == Call::Content => vec![End::StorageUnavailable],
        Wrong::TokenRevoked => vec![End::Unauthorized],
        // An open connection may be broken in the middle of a write; a new one does not come about.
        Wrong::FirstEndpointShut if write => vec![End::Ok, End::Transport],
        Wrong::BothEndpointsShut => vec![End::Connect, End::Transport],
        Wrong::NodeOff if on_node && forwarded(call) => vec![End::Unreachable(595)],
        _ => vec![End::Ok],
    }
}

/// Whether the host that is asked passes the call on to the VM's node: it answers by itself what is in files of the
/// cluster, and opens screens before it looks for the node.
fn forwarded(call: Call) -> bool {
    !matches!(call, Call::Firewall | Call::Rule | Call::Console)
}

struct Round {
    seed: u64,
    number: u64,
    major: Major,
    call: Call,
    wrong: Wrong,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PORTICO_FAULT_SEED={} round {} on {:?}: {:?} while {:?}",
            self.seed, self.number, self.major, self.call, self.wrong
        )
    }
}

/// A simulator behind two endpoints, with a patient and an impatient client.
struct Field {
    handle: pve_sim::Handle,
    control: Control,
    gates: [Gate; 2],
    client: Client,
    hasty: Client,
}

impl Field {
    async fn new(major: Major) -> Self {
        let handle = Simulator::start(Options {
            pve: major,
            time_scale: 100.0,
            ..Options::default()
        })
        .await
        .unwrap();
        let gates = [
            Gate::before(handle.addr()).await,
            Gate::before(handle.addr()).await,
        ];
        let client = |seconds: f64| {
            let endpoints = gates.iter().map(|gate| format!("https://{}", gate.address));
            let endpoints = endpoints.map(|url| url.parse().unwrap()).collect();
            let token = ApiToken::new(PANEL.0, Secret::new(PANEL.1)).unwrap();
            let trust = Trust::Fingerprints(vec![handle.fingerprint().parse().unwrap()]);
            let mut config = ClusterConfig::new("sim", endpoints, token, trust);
            let wait = Duration::from_secs_f64(seconds);
            config.timeouts = Timeouts {
                connect: Duration::from_secs(30),
                read: wait,
                write: wait,
            };
            Client::new(config, Arc::new(NoObserver)).unwrap()
        };
        let (patient, hasty) = (client(60.0), client(0.1));
        Self {
            control: handle.control(),
            client: patient,
            hasty,
            gates,
            handle,
        }
    }

    fn act(&self, action: Action) {
        self.control.act(action).unwrap();
    }

    /// Makes everything as it was, and the VM ready for the call.
    async fn restore(&self, call: Call) {
        self.control.clear_faults();
        for gate in &self.gates {
            gate.set(Way::Open);
        }
        self.act(Action::ReleaseStuckTasks);
        self.act(Action::SetTokenRevoked {
            token: PANEL.0.to_owned(),
            revoked: false,
        });
        self.act(Action::SetClockSkew { seconds: 0 });
        let vmid = call.vmid();
        for name in ["pve1", "pve2"] {
            self.control.set_node_online(name, true).unwrap();
        }
        if self.control.vm(vmid).is_some() {
            self.act(Action::HoldFlock { vmid, held: false });
        }
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.control.tasks().iter().any(|task| task.exit.is_none()) {
            assert!(Instant::now() < deadline, "tasks do not end");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Only now is it certain whether it was destroyed.
        if call == Call::Destroy && self.control.vm(DOOMED).is_none() {
            let copy = CloneOptions::new(id(DOOMED));
            let upid = self.client.vm(id(TEMPLATE)).clone_to(&copy).await.unwrap();
            assert!(end(&self.client, &upid).await.is_success());
        }
        self.control.set_lock(vmid, None).unwrap();
        if self.control.vm(COPY).is_some() {
            self.act(Action::RemoveVm { vmid: COPY });
        }
        let still = [
            Call::Start,
            Call::Clone,
            Call::Destroy,
            Call::Backup,
            Call::Restore,
        ];
        let running = !still.contains(&call);
        self.act(Action::SetRunning { vmid, running });
        self.move_to(vmid, "pve1");
    }

    fn move_to(&self, vmid: u32, node: &str) {
        let node = node.to_owned();
        if self.control.vm(vmid).unwrap().node != node {
            self.act(Action::MoveVm { vmid, node });
        }
    }

    fn spoil(&self, wrong: Wrong, call: Call) {
        let (method, path) = call.endpoint();
        let (method, path) = (Some(method.to_owned()), Some(path.to_owned()));
        let vmid = call.vmid();
        let cut = |moment, times| Fault::Cut {
            method: method.clone(),
            path: path.clone(),
            vmid: None,
            moment,
            times,
        };
        let latency = |milliseconds| Fault::Latency {
            milliseconds,
            path: path.clone(),
        };
        let task = call.task().unwrap_or("none").to_owned();
        match wrong {
            Wrong::Nothing => {}
            Wrong::Slow => self.control.inject(latency(20)),
            Wrong::TooSlow => self.control.inject(latency(1500)),
            Wrong::CutBefore(times) => self.control.inject(cut(Moment::BeforeEffect, times)),
            Wrong::CutAfter(times) => self.control.inject(cut(Moment::AfterEffect, times)),
            Wrong::Status(status, times) => self.control.inject(Fault::Status {
                node: None,
                method: method.clone(),
                path: path.clone(),
                status,
                reason: None,
                times: Some(times),
            }),
            Wrong::FlockHeld => self.act(Action::HoldFlock { vmid, held: true }),
            Wrong::Locked => self.control.set_lock(vmid, Some("backup")).unwrap(),
            Wrong::TokenRevoked => self.act(Action::SetTokenRevoked {
                token: PANEL.0.to_owned(),
                revoked: true,
            }),
            Wrong::FirstEndpointShut => self.gates[0].set(Way::Shut),
            Wrong::BothEndpointsShut => self.gates.iter().for_each(|gate| gate.set(Way::Shut)),
            Wrong::NodeOff => self.control.set_node_online("pve1", false).unwrap(),
            Wrong::VmMoved => self.move_to(vmid, "pve2"),
            Wrong::TaskFails => self.control.inject(Fault::FailTasks {
                task,
                vmid: None,
                text: "no space left".to_owned(),
                times: 1,
            }),
            Wrong::TaskSticks => self.control.inject(Fault::StickTasks {
                task,
                vmid: None,
                times: 1,
            }),
            Wrong::ClockSkewed => self.act(Action::SetClockSkew { seconds: -200 }),
            Wrong::CfsLockHeld => self.control.inject(Fault::HoldCfsLock {
                lock: format!("firewall-vm-{vmid}"),
                text: None,
                times: None,
            }),
            Wrong::StorageOffline => {
                for storage in ["local", "backups"] {
                    let storage = storage.to_owned();
                    self.control.inject(Fault::StorageOffline { storage });
                }
            }
        }
    }
}

/// What the end of a task must be, while something is wrong.
fn right_end(wrong: Wrong, call: Call, state: &TaskState) -> bool {
    let reason = match state {
        TaskState::Failed { reason, .. } => Some(reason),
        _ => None,
    };
    match (wrong, call) {
        // Why a backup failed is in the task's log alone.
        (Wrong::FlockHeld | Wrong::Locked | Wrong::TaskFails, Call::Backup) => {
            return reason == Some(&Reason::JobErrors);
        }
        (Wrong::StorageOffline, Call::Backup | Call::Restore | Call::Start) if reason.is_some() => {
            return reason == Some(&Reason::StorageUnavailable);
        }
        (Wrong::StorageOffline, Call::Backup | Call::Restore) => return false,
        _ => {}
    }
    match (wrong, state) {
        (Wrong::TaskFails, TaskState::Failed { text, .. }) => text.contains("no space left"),
        (Wrong::TaskSticks, TaskState::Failed { reason, .. }) => *reason == Reason::Interrupted,
        (Wrong::TaskSticks, TaskState::Lost) => true,
        (Wrong::FlockHeld, TaskState::Failed { reason, .. }) => *reason == Reason::LockTimeout,
        (Wrong::Locked, TaskState::Failed { reason, .. }) => *reason == Reason::Locked(Lock::Backup),
        (Wrong::VmMoved, TaskState::Failed { reason, .. }) => *reason == Reason::VmNotFound,
        // A start and a reset of a VM that runs on may have begun before it moved.
        (Wrong::TaskFails | Wrong::TaskSticks | Wrong::FlockHeld | Wrong::Locked, _) => false,
        (_, state) => state.is_success(),
    }
}

async fn play(field: &Field, round: &Round) {
    let (call, wrong) = (round.call, round.wrong);
    field.restore(call).await;
    // What is known of the nodes, and the connections, are those of a panel in use.
    field.client.vm(id(call.vmid())).status().await.unwrap();
    field.hasty.vm_resources().await.ok();
    field.control.reset_counters();
    field.spoil(wrong, call);
    let client = if wrong == Wrong::TooSlow {
        &field.hasty
    } else {
        &field.client
    };
    let result = call.make(client, round.number).await;
    let ends = model(wrong, call);
    let got = End::of(&result);
    assert!(ends.contains(&got), "{round}: {result:?}, right were {ends:?}");
    if let Ok(Some(upid)) = &result
        && !matches!(wrong, Wrong::NodeOff | Wrong::BothEndpointsShut)
    {
        if wrong == Wrong::TaskSticks {
            field.client.stop_task(upid).await.unwrap();
        }
        let state = end(&field.client, upid).await;
        assert!(right_end(wrong, call, &state), "{round}: {state:?}");
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
            let round = Round {
                seed,
                number,
                major,
                call: dice.pick(calls),
                wrong: dice.pick(&WRONGS),
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
        for call in READS.into_iter().chain(WRITES).chain(LIFE) {
            // A connection that was open when the certificate changed breaks, with the first call at most.
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
