//! A VM's sets of addresses, and what its rules may refer to.

use http::Method;
use serde::{Deserialize, Deserializer};

use super::words::RuleComment;
use crate::client::Vm;
use crate::entries::Entries;
use crate::error::Error;
use crate::id::{FirewallName, SetMember};
use crate::lenient;
use crate::route::{Params, Route};
use crate::transport::Class;

/// A set of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FirewallSet {
    /// Its name.
    pub name: FirewallName,
    /// What it is for.
    #[serde(default, deserialize_with = "lenient::text")]
    pub comment: Option<String>,
    /// The digest of the list of sets.
    #[serde(default, deserialize_with = "lenient::text")]
    pub digest: Option<String>,
}

/// Whether addresses belong to a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Membership {
    /// They do.
    #[default]
    Included,
    /// They are taken out of a larger network that is in the set.
    Excluded,
}

fn membership<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Membership, D::Error> {
    let excluded = lenient::bool(deserializer)?;
    Ok(if excluded {
        Membership::Excluded
    } else {
        Membership::Included
    })
}

/// What is in a set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FirewallSetEntry {
    /// Address, network or alias.
    #[serde(rename = "cidr")]
    pub member: SetMember,
    /// Whether it belongs to the set.
    #[serde(default, rename = "nomatch", deserialize_with = "membership")]
    pub membership: Membership,
    /// What it is for.
    #[serde(default, deserialize_with = "lenient::text")]
    pub comment: Option<String>,
    /// The digest of the set.
    #[serde(default, deserialize_with = "lenient::text")]
    pub digest: Option<String>,
}

/// What a rule's source or destination may name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FirewallReference {
    /// `ipset` or `alias`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `dc`, `guest` or `sdn`; versions before 8 do not say.
    #[serde(default, deserialize_with = "lenient::text")]
    pub scope: Option<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "lenient::text")]
    pub comment: Option<String>,
}

fn sets(vm: Route) -> Route {
    vm.word("/firewall/ipset")
}

impl Vm {
    /// `GET firewall/ipset`: the VM's sets, among them the provider's `ipfilter-netN`.
    pub async fn firewall_sets(&self) -> Result<Vec<FirewallSet>, Error> {
        let entries: Entries<_> = self.call(Class::Read, Method::GET, sets, Params::new()).await?;
        Ok(entries.kept("firewall sets"))
    }

    /// `POST firewall/ipset`: makes an empty set. PVE refuses a name that is taken with [`Error::Parameters`].
    pub async fn create_firewall_set(&self, name: &FirewallName, comment: &RuleComment) -> Result<(), Error> {
        let comment = Some(comment.as_str()).filter(|text| !text.is_empty());
        let params = Params::new().set("name", name).opt("comment", comment);
        self.change(Method::POST, sets, params).await
    }

    /// `DELETE firewall/ipset/{name}`: removes a set. With `force` also one that is not empty; rules that name it
    /// stay behind with an error.
    ///
    /// # Errors
    /// [`crate::Reason::SetNotEmpty`], [`crate::Reason::SetNotFound`].
    pub async fn remove_firewall_set(&self, name: &FirewallName, force: bool) -> Result<(), Error> {
        let params = Params::new().flag("force", force);
        self.change(Method::DELETE, |vm| sets(vm).set(name), params).await
    }

    /// `GET firewall/ipset/{name}`: what is in a set.
    ///
    /// # Errors
    /// [`crate::Reason::SetNotFound`].
    pub async fn firewall_set(&self, name: &FirewallName) -> Result<Vec<FirewallSetEntry>, Error> {
        let path = |vm: Route| sets(vm).set(name);
        let entries: Entries<_> = self.call(Class::Read, Method::GET, path, Params::new()).await?;
        Ok(entries.kept("entries of a firewall set"))
    }

    /// `POST firewall/ipset/{name}`: puts an address or network into a set. PVE refuses one that is in it already
    /// with [`Error::Parameters`].
    pub async fn add_to_firewall_set(
        &self,
        name: &FirewallName,
        member: &SetMember,
        membership: Membership,
        comment: &RuleComment,
    ) -> Result<(), Error> {
        let comment = Some(comment.as_str()).filter(|text| !text.is_empty());
        let params = Params::new()
            .set("cidr", member)
            .flag("nomatch", membership == Membership::Excluded)
            .opt("comment", comment);
        self.change(Method::POST, |vm| sets(vm).set(name), params).await
    }

    /// `DELETE firewall/ipset/{name}/{cidr}`: takes an address or network out of a set; what is not in it is no error.
    pub async fn remove_from_firewall_set(
        &self,
        name: &FirewallName,
        member: &SetMember,
        digest: Option<&str>,
    ) -> Result<(), Error> {
        let params = Params::new().opt("digest", digest);
        self.change(Method::DELETE, |vm| sets(vm).set(name).member(member), params)
            .await
    }

    /// `GET firewall/refs`: the sets and aliases that rules of the VM may name.
    pub async fn firewall_references(&self) -> Result<Vec<FirewallReference>, Error> {
        let path = |vm: Route| vm.word("/firewall/refs");
        let entries: Entries<_> = self.call(Class::Read, Method::GET, path, Params::new()).await?;
        Ok(entries.kept("firewall references"))
    }
}
