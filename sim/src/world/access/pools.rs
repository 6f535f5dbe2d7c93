//! Pools: VMs and storages on which rights are given together.

use std::collections::BTreeSet;

use super::Access;

/// A pool. Its name says where it lies: `a/b` is inside `a`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    /// What it is for; never empty.
    pub(crate) comment: Option<String>,
    /// Its VMs.
    pub(crate) vms: BTreeSet<u32>,
    /// Its storages.
    pub(crate) storages: BTreeSet<String>,
}

impl Access {
    /// The pool that a VM is in.
    pub(crate) fn pool_of(&self, vmid: u32) -> Option<&str> {
        let mut pools = self.pools.iter();
        pools
            .find(|(_, pool)| pool.vms.contains(&vmid))
            .map(|(name, _)| name.as_str())
    }

    /// Puts a new VM into a pool, if that is still there.
    pub(crate) fn add_to_pool(&mut self, vmid: u32, pool: &str) {
        if let Some(known) = self.pools.get_mut(pool) {
            known.vms.insert(vmid);
        }
        // A VM that is named twice belongs to the pool that PVE reads first.
        let first = self.pool_of(vmid).map(str::to_owned);
        for (_, other) in self
            .pools
            .iter_mut()
            .filter(|(name, _)| Some(*name) != first.as_ref())
        {
            other.vms.remove(&vmid);
        }
    }

    /// The pools directly or further down inside a pool, in order.
    pub(crate) fn pools_in(&self, pool: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{pool}/");
        let all = self.pools.keys().map(String::as_str);
        all.filter(move |name| name.starts_with(&prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Major;

    #[test]
    fn a_vm_is_in_one_pool_and_in_none_that_is_gone() {
        let mut access = Access::new(Major::V9, "k".into());
        access.pools.insert("b".into(), Pool::default());
        access.add_to_pool(100, "gone");
        assert_eq!(access.pool_of(100), None);
        access.add_to_pool(100, "b");
        access.pools.insert("a".into(), Pool::default());
        access.add_to_pool(100, "a");
        assert_eq!(access.pool_of(100), Some("a"));
        assert!(access.pools["b"].vms.is_empty());
    }
}
