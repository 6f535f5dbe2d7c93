//! A VM's rules, in the order in which they are tried.

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::words::{FirewallDirection, FirewallLogLevel, FirewallPolicy, RuleComment, RuleText, level};
use crate::client::Vm;
use crate::entries::Entries;
use crate::error::{Effect, Error};
use crate::lenient;
use crate::route::{Params, Route};
use crate::transport::Class;

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleAction {
    /// Decides about packets of one direction.
    Policy(FirewallDirection, FirewallPolicy),
    /// Puts a security group of the datacenter here.
    Group(String),
    /// Something that this crate does not know: type and action.
    Other(String, String),
}

/// A rule as PVE has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallRule {
    /// Its place from the top, from 0.
    pub position: usize,
    /// What it does.
    pub action: RuleAction,
    /// Whether it counts.
    pub enabled: bool,
    /// The macro, such as `HTTPS`, which fixes protocol and ports.
    pub macro_name: Option<String>,
    /// The network card, such as `net0`; all if none.
    pub interface: Option<String>,
    /// Where packets come from; anywhere if none.
    pub source: Option<String>,
    /// Where packets go to; anywhere if none.
    pub destination: Option<String>,
    /// The protocol's name or number; all if none.
    pub protocol: Option<String>,
    /// Ports they come from.
    pub source_ports: Option<String>,
    /// Ports they go to.
    pub destination_ports: Option<String>,
    /// The type of ICMP message.
    pub icmp_type: Option<String>,
    /// What is logged.
    pub log: Option<FirewallLogLevel>,
    /// The comment; empty if none.
    pub comment: String,
    /// 4 or 6, where the addresses decide it.
    pub ip_version: Option<u64>,
    /// What is wrong with it by now, by field, such as a set that is gone. PVE skips such a rule.
    pub errors: BTreeMap<String, String>,
}

/// A VM's rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirewallRules {
    /// Top down: the first match decides.
    pub list: Vec<FirewallRule>,
    /// What a change sends along to be refused when the list was changed meanwhile; an empty list has none.
    pub digest: Option<String>,
    /// How many rules PVE has: entries that cannot be read are left out of the list.
    pub total: usize,
}

/// A rule to be made, or what a rule is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDraft {
    /// Which way it looks.
    pub direction: FirewallDirection,
    /// What becomes of packets.
    pub policy: FirewallPolicy,
    /// Whether it counts.
    pub enabled: bool,
    /// A macro. PVE refuses other protocols and ports beside it.
    pub macro_name: Option<RuleText>,
    /// A network card, such as `net0`.
    pub interface: Option<RuleText>,
    /// Where packets come from: address, network, range, list, `+set` or alias.
    pub source: Option<RuleText>,
    /// Where packets go to.
    pub destination: Option<RuleText>,
    /// Name or number.
    pub protocol: Option<RuleText>,
    /// Ports they come from; needs a protocol that has ports.
    pub source_ports: Option<RuleText>,
    /// Ports they go to; needs a protocol that has ports.
    pub destination_ports: Option<RuleText>,
    /// Type of ICMP message; needs protocol `icmp` or `icmpv6`.
    pub icmp_type: Option<RuleText>,
    /// What is logged.
    pub log: Option<FirewallLogLevel>,
    /// The comment.
    pub comment: RuleComment,
}

impl RuleDraft {
    /// A rule for all packets of a direction, switched on.
    pub fn new(direction: FirewallDirection, policy: FirewallPolicy) -> Self {
        Self {
            direction,
            policy,
            enabled: true,
            macro_name: None,
            interface: None,
            source: None,
            destination: None,
            protocol: None,
            source_ports: None,
            destination_ports: None,
            icmp_type: None,
            log: None,
            comment: RuleComment::default(),
        }
    }

    fn optional(&self) -> [(&'static str, Option<&str>); 10] {
        [
            ("macro", self.macro_name.as_ref().map(RuleText::as_str)),
            ("iface", self.interface.as_ref().map(RuleText::as_str)),
            ("source", self.source.as_ref().map(RuleText::as_str)),
            ("dest", self.destination.as_ref().map(RuleText::as_str)),
            ("proto", self.protocol.as_ref().map(RuleText::as_str)),
            ("sport", self.source_ports.as_ref().map(RuleText::as_str)),
            ("dport", self.destination_ports.as_ref().map(RuleText::as_str)),
            ("icmp-type", self.icmp_type.as_ref().map(RuleText::as_str)),
            ("log", self.log.map(FirewallLogLevel::as_str)),
            (
                "comment",
                Some(self.comment.as_str()).filter(|text| !text.is_empty()),
            ),
        ]
    }

    fn params(&self, enabled: bool) -> Params {
        let params = Params::new()
            .set("type", self.direction)
            .set("action", self.policy)
            .set("enable", u8::from(enabled));
        self.optional()
            .into_iter()
            .fold(params, |params, (name, value)| params.opt(name, value))
    }

    /// The fields that a rule of this draft does not have.
    fn unset(&self) -> String {
        let names = self.optional().into_iter().filter(|(_, value)| value.is_none());
        names.map(|(name, _)| name).collect::<Vec<_>>().join(",")
    }
}

/// Where a new rule goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulePlace {
    /// Before all others.
    Top,
    /// After all others.
    End,
    /// To that place from the top; to the end if there are fewer.
    At(usize),
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default, deserialize_with = "lenient::u64")]
    pos: Option<u64>,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    action: String,
    #[serde(default, deserialize_with = "lenient::u64")]
    enable: Option<u64>,
    #[serde(default, rename = "macro", deserialize_with = "lenient::text")]
    macro_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    iface: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    source: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    dest: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    proto: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    sport: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    dport: Option<String>,
    #[serde(default, rename = "icmp-type", deserialize_with = "lenient::text")]
    icmp_type: Option<String>,
    #[serde(default, deserialize_with = "level")]
    log: Option<FirewallLogLevel>,
    #[serde(default, deserialize_with = "lenient::text")]
    comment: Option<String>,
    #[serde(default, deserialize_with = "lenient::counted")]
    ipversion: Option<u64>,
    #[serde(default, deserialize_with = "errors")]
    errors: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "lenient::text")]
    digest: Option<String>,
}

/// Errors as far as they are texts.
fn errors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    let texts = all
        .into_iter()
        .filter_map(|(field, text)| Some((field, text.as_str()?.trim_end().to_owned())));
    Ok(texts.collect())
}

fn read(entries: Entries<Entry>) -> FirewallRules {
    let mut rules = FirewallRules {
        total: entries.total(),
        ..FirewallRules::default()
    };
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    for entry in entries.kept("firewall rules") {
        let Some(position) = entry.pos.and_then(|pos| usize::try_from(pos).ok()) else {
            continue;
        };
        rules.digest = rules.digest.or(entry.digest);
        let known = FirewallDirection::from_word(&entry.kind).zip(FirewallPolicy::from_word(&entry.action));
        rules.list.push(FirewallRule {
            position,
            action: match (known, entry.kind.as_str()) {
                (Some((direction, policy)), _) => RuleAction::Policy(direction, policy),
                (None, "group") => RuleAction::Group(entry.action),
                (None, _) => RuleAction::Other(entry.kind, entry.action),
            },
            enabled: entry.enable.is_some_and(|number| number > 0),
            macro_name: some(entry.macro_name),
            interface: some(entry.iface),
            source: some(entry.source),
            destination: some(entry.dest),
            protocol: some(entry.proto),
            source_ports: some(entry.sport),
            destination_ports: some(entry.dport),
            icmp_type: some(entry.icmp_type),
            log: entry.log,
            comment: entry.comment.unwrap_or_default(),
            ip_version: entry.ipversion,
            errors: entry.errors,
        });
    }
    rules.list.sort_by_key(|rule| rule.position);
    rules
}

fn rules(vm: Route) -> Route {
    vm.word("/firewall/rules")
}

fn rule_at(rules: &[FirewallRule], position: usize) -> Option<&FirewallRule> {
    rules.iter().find(|rule| rule.position == position)
}

impl Vm {
    /// `GET firewall/rules`: all rules, top down.
    pub async fn firewall_rules(&self) -> Result<FirewallRules, Error> {
        let entries = self.call(Class::Read, Method::GET, rules, Params::new()).await?;
        Ok(read(entries))
    }

    /// Makes a rule and brings it to its place.
    ///
    /// PVE puts every new rule on the top. So that it does not work there for a moment, a rule that belongs
    /// elsewhere is made switched off, moved, and only then switched on; the moves carry digests. When one of them
    /// fails, the new rule is removed again if the list is still the same; else it stays behind, switched off, as it
    /// does when this is dropped halfway.
    ///
    /// # Errors
    /// [`Error::Parameters`] with PVE's text for each field. [`crate::Reason::DigestMismatch`] when `digest` is not
    /// that of the list any more (nothing was done), or when somebody else changed the list in between. When the new
    /// rule stays behind, switched off, [`Error::may_have_happened`] is `true`: look for it before trying again.
    pub async fn add_firewall_rule(
        &self,
        draft: &RuleDraft,
        place: RulePlace,
        digest: Option<&str>,
    ) -> Result<(), Error> {
        let before = self.firewall_rules().await?;
        if let Some(digest) = digest
            && before.digest.as_deref() != Some(digest)
        {
            return Err(self.changed_meanwhile());
        }
        let target = match place {
            RulePlace::Top => 0,
            RulePlace::End => before.total,
            RulePlace::At(place) => place.min(before.total),
        };
        let at_once = draft.enabled && target == 0;
        self.change(Method::POST, rules, draft.params(at_once)).await?;
        if target == 0 {
            return Ok(());
        }
        let stays = |error: Error| error.with_effect(Effect::Begun);
        let made = self.firewall_rules().await.map_err(stays)?;
        if made.total != before.total + 1 {
            return Err(stays(self.changed_meanwhile()));
        }
        let Err(error) = self.bring(&made, target, draft.enabled).await else {
            return Ok(());
        };
        // The digest lets this hit the new rule or nothing. Should it fail too, the first error says more.
        match self.remove_firewall_rule(0, made.digest.as_deref()).await {
            Ok(()) => Err(error),
            Err(_) => Err(stays(error)),
        }
    }

    /// Moves the rule on the top to its place, then switches it on.
    async fn bring(&self, made: &FirewallRules, target: usize, enabled: bool) -> Result<(), Error> {
        self.move_firewall_rule(0, target, made.digest.as_deref()).await?;
        if !enabled {
            return Ok(());
        }
        let moved = self.firewall_rules().await?;
        // The digest of this list does not tell that it is the one of a moment ago: another rule, which somebody
        // has switched off, must not be switched on in place of this one.
        let own = rule_at(&made.list, 0).map(|rule| FirewallRule {
            position: target,
            ..rule.clone()
        });
        if own.as_ref() != rule_at(&moved.list, target) {
            return Err(self.changed_meanwhile());
        }
        self.enable_firewall_rule(target, true, moved.digest.as_deref())
            .await
    }

    fn changed_meanwhile(&self) -> Error {
        let node = self.client().nodes().known(self.vmid(), None);
        let route = rules(Route::vm_on(Method::POST, node.as_ref(), self.vmid()));
        Error::Declined {
            target: route.target(self.client().name()),
            reason: crate::reason::Reason::DigestMismatch,
            why: "somebody else changed the list of rules",
        }
    }

    /// `PUT firewall/rules/{pos}`: makes the rule what the draft says; fields that the draft leaves open go.
    ///
    /// # Errors
    /// As [`Self::add_firewall_rule`]; [`crate::Reason::RuleNotFound`] when there is none at that place.
    pub async fn update_firewall_rule(
        &self,
        position: usize,
        draft: &RuleDraft,
        digest: Option<&str>,
    ) -> Result<(), Error> {
        let unset = draft.unset();
        let params = draft
            .params(draft.enabled)
            .opt("delete", Some(unset).filter(|list| !list.is_empty()))
            .opt("digest", digest);
        self.change(Method::PUT, |vm| rules(vm).position(position), params)
            .await
    }

    /// `PUT firewall/rules/{pos}`: switches a rule on or off and changes nothing else of it.
    pub async fn enable_firewall_rule(
        &self,
        position: usize,
        enabled: bool,
        digest: Option<&str>,
    ) -> Result<(), Error> {
        let params = Params::new()
            .set("enable", u8::from(enabled))
            .opt("digest", digest);
        self.change(Method::PUT, |vm| rules(vm).position(position), params)
            .await
    }

    /// `PUT firewall/rules/{pos}` with `moveto`: brings a rule to a place, counted without the rule itself; to the
    /// end if there are fewer. Does nothing when it is there already.
    pub async fn move_firewall_rule(
        &self,
        from: usize,
        to: usize,
        digest: Option<&str>,
    ) -> Result<(), Error> {
        if from == to {
            return Ok(());
        }
        // PVE puts the rule before the one that had the number in the list as it was.
        let before = if to > from { to.saturating_add(1) } else { to };
        let params = Params::new().set("moveto", before).opt("digest", digest);
        self.change(Method::PUT, |vm| rules(vm).position(from), params)
            .await
    }

    /// `DELETE firewall/rules/{pos}`: removes a rule. Without a digest it may hit another than was meant.
    pub async fn remove_firewall_rule(&self, position: usize, digest: Option<&str>) -> Result<(), Error> {
        let params = Params::new().opt("digest", digest);
        self.change(Method::DELETE, |vm| rules(vm).position(position), params)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whatever_shape_its_numbers_have() {
        let rules = read(
            serde_json::from_str(
                r#"[{"pos":"1","type":"group","action":"web","enable":"1","digest":"aa"},
                {"pos":0,"type":"in","action":"ACCEPT","macro":"SSH","enable":1,"source":"+dc/office","log":"nolog",
                 "comment":"x","digest":"aa","errors":{"source":"no such ipset 'office'\n"}},
                {"pos":2,"type":"forward","action":"DROP","dport":80,"ipversion":"6","digest":"aa"},
                {"pos":3,"type":"in","action":"DROP","source":["x"]}]"#,
            )
            .unwrap(),
        );
        assert_eq!((rules.total, rules.list.len()), (4, 3));
        assert_eq!(rules.digest.as_deref(), Some("aa"));
        let [ssh, group, other] = &rules.list[..] else {
            panic!()
        };
        assert_eq!(
            ssh.action,
            RuleAction::Policy(FirewallDirection::In, FirewallPolicy::Accept)
        );
        assert_eq!(ssh.errors["source"], "no such ipset 'office'");
        assert_eq!(ssh.log, Some(FirewallLogLevel::Nothing));
        assert_eq!(group.action, RuleAction::Group("web".to_owned()));
        assert!(group.enabled && !other.enabled);
        assert_eq!(
            (other.destination_ports.as_deref(), other.ip_version),
            (Some("80"), Some(6))
        );
    }

    #[test]
    fn an_update_names_all_fields_that_go() {
        let mut draft = RuleDraft::new(FirewallDirection::In, FirewallPolicy::Drop);
        assert_eq!(
            draft.unset(),
            "macro,iface,source,dest,proto,sport,dport,icmp-type,log,comment"
        );
        draft.protocol = Some(RuleText::new("tcp").unwrap());
        draft.comment = RuleComment::cleaned("x");
        assert_eq!(draft.unset(), "macro,iface,source,dest,sport,dport,icmp-type,log");
    }
}
