//! Which node a VM is on: a copy of the cluster's list, renewed when it proves wrong.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::id::{NodeName, VmId};

/// How long the list is believed while nothing contradicts it. A wrong entry shows at once: the call fails
/// with "does not exist" before anything is done.
const TTL: Duration = Duration::from_mins(1);
/// The same after a node was found unreachable: its VMs may have been moved away.
const TTL_IN_DOUBT: Duration = Duration::from_secs(5);
/// How long a VM that is not on the list is believed not to exist.
const TTL_UNKNOWN: Duration = Duration::from_secs(2);
/// How long a VM that was made here is remembered while no list has it. A token whose rights come from a pool sees the
/// VM only when its clone has ended and it is in the pool.
const TTL_NOTED: Duration = Duration::from_hours(1);

/// The copy of the list.
#[derive(Default)]
pub(crate) struct NodeCache {
    list: Mutex<List>,
    /// Held by the one call that renews the list; the others wait for it and then find the new list.
    pub(crate) renewal: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct List {
    nodes: HashMap<VmId, NodeName>,
    /// When the request for the list was sent.
    asked: Option<Instant>,
    in_doubt: bool,
    /// VMs that were made here and that no list asked for later has had yet, and when.
    noted: HashMap<VmId, (NodeName, Instant)>,
    /// VMs that proved not to be where the list has them, and when.
    doubted: HashMap<VmId, Instant>,
    /// Why the list could not be renewed last, and when that was found.
    failure: Option<(Error, Instant)>,
}

/// What the copy says about a VM.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is on this node.
    On(NodeName),
    /// It is on no node.
    Nowhere,
    /// The copy is too old to say.
    Stale,
}

impl NodeCache {
    /// Looks the VM up. With `not_before`, only in a list that was asked for at that time or later.
    pub(crate) fn look(&self, vmid: VmId, not_before: Option<Instant>, now: Instant) -> Look {
        let list = self.list();
        let node = list.known(vmid, not_before);
        let noted = list.noted_at(vmid, not_before);
        let Some(as_of) = list.asked.max(noted) else {
            return Look::Stale;
        };
        let age = now.saturating_duration_since(as_of);
        let fresh = match (not_before, &node) {
            (Some(not_before), _) => as_of >= not_before,
            // Not on the list and no longer believed to be where the list has it are different things.
            (None, _) if list.doubted.contains_key(&vmid) => false,
            (None, Some(_)) => age < if list.in_doubt { TTL_IN_DOUBT } else { TTL },
            (None, None) => age < TTL_UNKNOWN,
        };
        match node {
            _ if !fresh => Look::Stale,
            Some(node) => Look::On(node),
            None => Look::Nowhere,
        }
    }

    /// Where the VM is by all that is known, however old. A VM that was made before `not_before` has to be on the list.
    pub(crate) fn known(&self, vmid: VmId, not_before: Option<Instant>) -> Option<NodeName> {
        self.list().known(vmid, not_before)
    }

    /// Takes over a whole new list.
    pub(crate) fn renew(&self, nodes: impl Iterator<Item = (VmId, NodeName)>, asked: Instant) {
        let nodes: HashMap<_, _> = nodes.collect();
        let mut list = self.list();
        // Two lists may arrive in the other order than they were asked for.
        if list.asked.is_none_or(|previous| previous <= asked) {
            list.doubted.retain(|_, doubted| *doubted > asked);
            list.noted.retain(|vmid, (_, noted)| {
                *noted > asked || (!nodes.contains_key(vmid) && asked.duration_since(*noted) < TTL_NOTED)
            });
            list.nodes = nodes;
            list.asked = Some(asked);
            list.in_doubt = false;
        }
    }

    /// Remembers why the list could not be renewed.
    pub(crate) fn failed(&self, error: &Error, now: Instant) {
        self.list().failure = Some((error.clone(), now));
    }

    /// Why the list could not be renewed, if that was found at that time or later.
    pub(crate) fn failure_since(&self, since: Instant) -> Option<Error> {
        let list = self.list();
        let (error, when) = list.failure.as_ref()?;
        (*when >= since).then(|| error.clone())
    }

    /// A node did not answer: VMs may have left it.
    pub(crate) fn doubt(&self) {
        self.list().in_doubt = true;
    }

    /// Takes note of a VM that was made just now, on a node that the list does not know of yet.
    pub(crate) fn note(&self, vmid: VmId, node: &NodeName, now: Instant) {
        let mut list = self.list();
        list.doubted.remove(&vmid);
        list.noted.insert(vmid, (node.clone(), now));
    }

    /// Does not believe any longer what is known about one VM.
    pub(crate) fn forget(&self, vmid: VmId, now: Instant) {
        let mut list = self.list();
        list.noted.remove(&vmid);
        list.doubted.insert(vmid, now);
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn known(&self, vmid: VmId, not_before: Option<Instant>) -> Option<NodeName> {
        match self.noted.get(&vmid) {
            Some((node, _)) if self.noted_at(vmid, not_before).is_some() => Some(node.clone()),
            _ => self.nodes.get(&vmid).cloned(),
        }
    }

    /// When the VM was made here, if it was and that counts: a list asked for since `not_before` says more.
    fn noted_at(&self, vmid: VmId, not_before: Option<Instant>) -> Option<Instant> {
        let (_, noted) = self.noted.get(&vmid)?;
        Some(*noted).filter(|noted| not_before.is_none_or(|not_before| *noted >= not_before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm() -> VmId {
        VmId::new(100).unwrap()
    }

    fn on(name: &str) -> Look {
        Look::On(NodeName::new(name).unwrap())
    }

    fn cache(name: &str, asked: Instant) -> NodeCache {
        let cache = NodeCache::default();
        cache.renew([(vm(), NodeName::new(name).unwrap())].into_iter(), asked);
        cache
    }

    #[test]
    fn an_entry_is_believed_for_a_minute_and_after_a_dead_node_for_seconds() {
        let start = Instant::now();
        let cache = cache("pve1", start);
        assert_eq!(
            cache.look(vm(), None, start + Duration::from_secs(59)),
            on("pve1")
        );
        assert_eq!(
            cache.look(vm(), None, start + Duration::from_secs(61)),
            Look::Stale
        );
        cache.doubt();
        assert_eq!(cache.look(vm(), None, start + Duration::from_secs(4)), on("pve1"));
        assert_eq!(
            cache.look(vm(), None, start + Duration::from_secs(6)),
            Look::Stale
        );
    }

    #[test]
    fn a_vm_that_was_not_listed_is_looked_for_again_after_two_seconds() {
        let start = Instant::now();
        let cache = cache("pve1", start);
        let other = VmId::new(101).unwrap();
        assert_eq!(
            cache.look(other, None, start + Duration::from_secs(1)),
            Look::Nowhere
        );
        assert_eq!(
            cache.look(other, None, start + Duration::from_secs(3)),
            Look::Stale
        );
    }

    #[test]
    fn a_vm_that_was_just_made_is_known_although_the_list_is_older() {
        let start = Instant::now();
        let cache = cache("pve1", start);
        let new = VmId::new(777).unwrap();
        cache.note(new, &NodeName::new("pve3").unwrap(), start);
        assert_eq!(cache.look(new, None, start), on("pve3"));
        assert_eq!(
            cache.look(new, Some(start + Duration::from_secs(1)), start),
            Look::Stale
        );
    }

    #[test]
    fn a_vm_that_was_made_while_a_list_was_on_its_way_is_not_lost_with_it() {
        let start = Instant::now();
        let seconds = |n| start + Duration::from_secs(n);
        let cache = cache("pve1", start);
        let new = VmId::new(777).unwrap();
        cache.note(new, &NodeName::new("pve3").unwrap(), seconds(2));
        let list = || [(vm(), NodeName::new("pve1").unwrap())].into_iter();
        cache.renew(list(), seconds(1));
        assert_eq!(cache.look(new, None, seconds(3)), on("pve3"));
        // Not yet in the pool that the token's rights come from.
        cache.renew(list(), seconds(100));
        assert_eq!(cache.look(new, None, seconds(101)), on("pve3"));
        // But when a node has said that it has no such VM, the list decides.
        assert_eq!(cache.look(new, Some(seconds(99)), seconds(101)), Look::Nowhere);
        cache.renew([(new, NodeName::new("pve2").unwrap())].into_iter(), seconds(102));
        assert_eq!(cache.look(new, None, seconds(103)), on("pve2"));
        cache.renew(list(), seconds(104));
        assert_eq!(cache.look(new, None, seconds(105)), Look::Nowhere);
    }

    #[test]
    fn a_vm_that_no_list_ever_has_is_forgotten_after_an_hour() {
        let start = Instant::now();
        let cache = cache("pve1", start);
        let new = VmId::new(777).unwrap();
        cache.note(new, &NodeName::new("pve3").unwrap(), start);
        cache.renew(std::iter::empty(), start + TTL_NOTED);
        assert_eq!(cache.look(new, None, start + TTL_NOTED), Look::Nowhere);
    }

    #[test]
    fn who_waited_for_a_list_learns_why_it_did_not_come() {
        let start = Instant::now();
        let cache = NodeCache::default();
        assert!(cache.failure_since(start).is_none());
        let error = Error::Busy {
            target: crate::route::Route::get("/cluster/resources").target("prod"),
            after: TTL,
        };
        let found = start + Duration::from_secs(1);
        cache.failed(&error, found);
        assert!(cache.failure_since(start).is_some());
        assert!(cache.failure_since(found + Duration::from_millis(1)).is_none());
    }

    #[test]
    fn after_a_contradiction_only_a_newer_list_counts() {
        let start = Instant::now();
        let cache = cache("pve1", start);
        let later = start + Duration::from_secs(1);
        assert_eq!(cache.look(vm(), Some(later), later), Look::Stale);
        cache.renew([(vm(), NodeName::new("pve2").unwrap())].into_iter(), later);
        assert_eq!(cache.look(vm(), Some(later), later), on("pve2"));
    }

    #[test]
    fn a_vm_that_was_forgotten_is_looked_for_and_not_taken_for_gone() {
        let start = Instant::now();
        let cache = cache("pve1", start);
        let later = start + Duration::from_millis(10);
        cache.forget(vm(), later);
        assert_eq!(cache.look(vm(), None, later), Look::Stale);
        cache.renew([(vm(), NodeName::new("pve1").unwrap())].into_iter(), start);
        assert_eq!(
            cache.look(vm(), None, later),
            Look::Stale,
            "a list that was asked for before does not count"
        );
        cache.renew([(vm(), NodeName::new("pve2").unwrap())].into_iter(), later);
        assert_eq!(cache.look(vm(), None, later), on("pve2"));
    }

    #[test]
    fn an_older_list_that_arrives_late_does_not_replace_a_newer_one() {
        let start = Instant::now();
        let cache = cache("pve2", start + Duration::from_secs(1));
        cache.renew([(vm(), NodeName::new("pve1").unwrap())].into_iter(), start);
        assert_eq!(cache.look(vm(), None, start + Duration::from_secs(2)), on("pve2"));
    }

    #[test]
    fn nothing_is_known_before_the_first_list() {
        assert_eq!(NodeCache::default().look(vm(), None, Instant::now()), Look::Stale);
    }
}
