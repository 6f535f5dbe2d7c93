//! One rule: its fields, its line in the firewall file, its checks.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::names;
use super::scope::{Environment, Scope};
use super::values::{address_list, alias_reference, ports};

/// The fields a rule can have, as parameters name them.
pub(crate) const FIELDS: &[&str] = &[
    "action",
    "comment",
    "dest",
    "dport",
    "enable",
    "icmp-type",
    "iface",
    "log",
    "macro",
    "proto",
    "source",
    "sport",
    "type",
];

/// A rule: text fields by name, without those that are unset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    fields: BTreeMap<String, String>,
}

impl Rule {
    /// A field's text.
    pub(crate) fn get(&self, field: &str) -> Option<&str> {
        self.fields
            .get(field)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// Sets a field; an empty text or `-` unsets it.
    pub(crate) fn set(&mut self, field: &str, text: &str) {
        if text.is_empty() || text == "-" {
            self.fields.remove(field);
        } else {
            self.fields.insert(field.to_owned(), text.to_owned());
        }
    }

    /// Unsets a field.
    pub(crate) fn unset(&mut self, field: &str) {
        self.fields.remove(field);
    }

    /// The text that PVE digests: all fields in order, without errors.
    pub(crate) fn digest_text(&self) -> String {
        let lines = self
            .fields
            .iter()
            .flat_map(|(key, value)| [key, ":", value, "\n"]);
        lines.collect()
    }

    /// The rule as the API shows it, without position and digest.
    pub(crate) fn shown(&self, errors: &IndexMap<String, String>) -> Map<String, Value> {
        let mut out = Map::new();
        for (key, text) in &self.fields {
            let value = match (key.as_str(), text.parse::<u64>()) {
                ("enable" | "ipversion", Ok(number)) => Value::from(number),
                _ => Value::from(text.as_str()),
            };
            out.insert(key.clone(), value);
        }
        if !errors.is_empty() {
            let errors = errors
                .iter()
                .map(|(key, text)| (key.clone(), Value::from(text.as_str())));
            out.insert("errors".to_owned(), Value::Object(errors.collect()));
        }
        out
    }

    /// The rule's line in the firewall file. A comment is written as it is, line breaks too, as PVE does.
    pub(crate) fn line(&self) -> String {
        let switch = if self.get("enable") == Some("0") { "|" } else { "" };
        let kind = self.get("type").unwrap_or_default();
        let action = self.get("action").unwrap_or_default();
        let mut words = vec![format!("{switch}{}", kind.to_ascii_uppercase())];
        words.push(match self.get("macro") {
            Some(name) => format!("{name}({action})"),
            None => action.to_owned(),
        });
        let options = [
            ("iface", "-i"),
            ("source", "-source"),
            ("dest", "-dest"),
            ("proto", "-p"),
            ("dport", "-dport"),
            ("sport", "-sport"),
            ("log", "-log"),
            ("icmp-type", "-icmp-type"),
        ];
        for (field, option) in options {
            if let Some(text) = self.get(field).filter(|_| kind != "group" || field == "iface") {
                words.push(format!("{option} {text}"));
            }
        }
        if let Some(comment) = self.get("comment").filter(|text| !text.trim().is_empty()) {
            words.push(format!("# {comment}"));
        }
        words.join(" ")
    }

    /// Reads a line of the firewall file; `None` if it is not a rule.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut rule = Self::default();
        let (line, comment) = match line.split_once('#') {
            Some((line, comment)) => (line.trim(), comment.trim()),
            None => (line.trim(), ""),
        };
        let (line, enabled) = match line.strip_prefix('|') {
            Some(rest) => (rest, "0"),
            None => (line, "1"),
        };
        let mut words = line.split_whitespace();
        let kind = words.next()?.to_ascii_lowercase();
        let action = words.next()?;
        let with_macro = action
            .strip_suffix(')')
            .and_then(|rest| rest.rsplit_once('('))
            .filter(|(_, action)| kind != "group" && ["ACCEPT", "DROP", "REJECT"].contains(action));
        match with_macro {
            Some((name, action)) => {
                rule.set("macro", name);
                rule.set("action", action);
            }
            None => rule.set("action", action),
        }
        rule.set("type", &kind);
        rule.fields.insert("enable".to_owned(), enabled.to_owned());
        while let Some(option) = words.next() {
            let field = match option.trim_start_matches('-') {
                "i" => "iface",
                "p" | "proto" => "proto",
                known @ ("source" | "dest" | "dport" | "sport" | "log" | "icmp-type") => known,
                _ => return None,
            };
            if !option.starts_with('-') || (kind == "group" && field != "iface") {
                return None;
            }
            rule.set(field, words.next()?);
        }
        if !comment.is_empty() {
            rule.fields.insert("comment".to_owned(), comment.to_owned());
        }
        Some(rule)
    }

    /// Checks the rule, spells its macro as PVE does, works out its IP version; gives what is wrong by parameter,
    /// in the order in which PVE finds it.
    pub(crate) fn verify(&mut self, scope: Scope<'_>) -> IndexMap<String, String> {
        let mut check = Check {
            errors: IndexMap::new(),
            version: None,
        };
        self.verify_kind(&mut check, scope.environment);
        self.verify_iface(&mut check, scope.environment);
        if let Some(name) = self.get("macro").map(str::to_owned) {
            match names::find_macro(&name) {
                Some(known) => self.set("macro", known.name),
                None => check.wrong("macro", format!("unknown macro '{name}'")),
            }
        }
        self.verify_protocol(&mut check);
        self.verify_addresses(&mut check, scope);
        self.fields.remove("ipversion");
        if let Some(version) = check.version {
            self.fields.insert("ipversion".to_owned(), version.to_string());
        }
        if check.errors.is_empty() {
            self.verify_macro(&mut check);
        }
        check.errors
    }

    fn verify_kind(&self, check: &mut Check, environment: Environment) {
        let (kind, action) = (self.get("type"), self.get("action"));
        if kind.is_none() {
            check.wrong("type", "missing property");
        }
        if action.is_none() {
            check.wrong("action", "missing property");
        }
        let (Some(kind), Some(action)) = (kind, action) else {
            return;
        };
        if !environment.kinds().contains(&kind) {
            let place = environment.name();
            check.wrong(
                "type",
                format!("invalid rule type '{kind}' for rule_env '{place}'"),
            );
        }
        if kind == "group" {
            // As in PVE nobody looks whether there is such a group.
            if !names::is_name(action) {
                check.wrong("action", "invalid characters in security group name");
            }
        } else if kind == "forward" && action == "REJECT" {
            check.wrong("action", "cannot define REJECT rules on forward chain");
        } else if !["ACCEPT", "DROP", "REJECT"].contains(&action) {
            check.wrong("action", format!("unknown action '{action}'"));
        }
    }

    fn verify_iface(&self, check: &mut Check, environment: Environment) {
        let Some(name) = self.get("iface") else { return };
        let number = name.strip_prefix("net").unwrap_or_default();
        let is_device = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        match environment {
            Environment::Group => check.wrong("type", "parameter -i not allowed for this rule type"),
            Environment::Vm if !is_device => {
                check.wrong("iface", "value does not match the regex pattern 'net\\d+'");
            }
            Environment::Vm | Environment::Cluster => {}
        }
    }

    fn verify_protocol(&self, check: &mut Check) {
        let protocol = self.get("proto");
        if let Some(name) = protocol {
            if !names::is_protocol(name) {
                check.wrong("proto", format!("unknown protocol '{name}'"));
            }
            match name {
                "icmp" => check.version = Some(4),
                "icmpv6" | "ipv6-icmp" => check.version = Some(6),
                _ => {}
            }
        }
        let icmp = protocol.is_some_and(names::is_icmp);
        self.verify_ports(check, "dport", icmp);
        if let Some(name) = self.get("icmp-type") {
            match protocol {
                Some("icmp") if !names::is_icmp_type(name) => check.wrong(
                    "icmp-type",
                    format!("invalid icmp-type '{name}' for proto 'icmp'"),
                ),
                Some(other) if icmp && other != "icmp" && !names::is_icmpv6_type(name) => check.wrong(
                    "icmp-type",
                    format!("invalid icmp-type '{name}' for proto '{other}'"),
                ),
                _ if !icmp => check.wrong("proto", "missing property - 'icmp-type' requires this property"),
                _ if self.get("dport").is_some() => check.wrong(
                    "icmp-type",
                    "'icmp-type' cannot be specified together with 'dport'",
                ),
                _ => {}
            }
        }
        self.verify_ports(check, "sport", false);
    }

    fn verify_ports(&self, check: &mut Check, field: &str, icmp: bool) {
        let Some(text) = self.get(field) else { return };
        if let Err(reason) = ports(text, icmp) {
            check.wrong(field, reason);
        }
        match self.get("proto") {
            None => check.wrong(
                "proto",
                format!("missing property - '{field}' requires this property"),
            ),
            Some(protocol) if !names::has_ports(protocol) && !icmp => {
                check.wrong(field, format!("protocol '{protocol}' does not support ports"));
            }
            Some(_) => {}
        }
    }

    fn verify_addresses(&self, check: &mut Check, scope: Scope<'_>) {
        for field in ["source", "dest"] {
            let Some(text) = self.get(field) else { continue };
            match address_list(text) {
                Err(reason) => check.wrong(field, reason),
                Ok(version) => check.version(field, version),
            }
            if let Some(reference) = text.strip_prefix('+') {
                let name = reference
                    .split_once('/')
                    .filter(|(scope, _)| ["guest", "dc", "sdn"].contains(scope))
                    .map_or(reference, |(_, name)| name);
                if !names::is_name(name) {
                    check.wrong(field, format!("invalid ipset name '{text}'"));
                } else if !scope.has_set(name) {
                    check.wrong(field, format!("no such ipset '{name}'"));
                }
            } else if let Some((level, name)) = alias_reference(text) {
                match scope.alias(level, name) {
                    None => check.wrong(field, format!("no such alias '{text}'")),
                    Some(cidr) => check.version(field, super::values::version_of(cidr)),
                }
            }
        }
    }

    fn verify_macro(&self, check: &mut Check) {
        let Some(known) = self.get("macro").and_then(names::find_macro) else {
            return;
        };
        // Where the versions differ, PVE leaves the macro out when it makes the ruleset.
        if known.only_v6 && check.version == Some(4) {
            return;
        }
        let protocol = match (known.name, check.version) {
            ("Ping", Some(6)) => "icmpv6",
            _ => known.protocol,
        };
        for (field, fixed) in [("proto", protocol), ("dport", known.ports)] {
            if let Some(given) = self.get(field)
                && !fixed.is_empty()
                && given != fixed
            {
                check.wrong(
                    field,
                    format!("parameter '{field}' already define in macro (value = '{fixed}')"),
                );
            }
        }
    }
}

struct Check {
    errors: IndexMap<String, String>,
    version: Option<u8>,
}

impl Check {
    fn wrong(&mut self, field: &str, reason: impl Into<String>) {
        self.errors
            .entry(field.to_owned())
            .or_insert_with(|| reason.into());
    }

    fn version(&mut self, field: &str, version: Option<u8>) {
        match (self.version, version) {
            (Some(before), Some(now)) if before != now => {
                self.wrong(field, "detected mixed ipv4/ipv6 addresses in rule");
            }
            (_, Some(now)) => self.version = Some(now),
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::firewall::{Config, Datacenter};

    fn errors(line: &str) -> IndexMap<String, String> {
        let (own, datacenter) = (Config::default(), Datacenter::default());
        let scope = Scope {
            environment: Environment::Vm,
            own: &own,
            datacenter: &datacenter,
        };
        Rule::from_line(line).unwrap().verify(scope)
    }

    fn first(line: &str) -> (String, String) {
        errors(line).into_iter().next().unwrap_or_default()
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        for line in [
            "IN ACCEPT -source 192.0.2.0/24 -p tcp -dport 22 -log nolog # office #2",
            "|OUT DROP -i net0 -dest 2001:db8::1",
            "IN HTTPS(ACCEPT)",
            "GROUP web -i net0",
            "IN ACCEPT -p icmp -icmp-type echo-request",
        ] {
            assert_eq!(Rule::from_line(line).unwrap().line(), line);
        }
        for line in ["", "IN", "IN ACCEPT -x 1", "IN ACCEPT -p", "GROUP web -p tcp"] {
            assert_eq!(Rule::from_line(line), None, "{line}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_told_under_its_own_name() {
        let case = |line, field: &str, reason: &str| {
            assert_eq!(first(line), (field.to_owned(), reason.to_owned()), "{line}");
        };
        case("IN GO", "action", "unknown action 'GO'");
        case(
            "FORWARD ACCEPT",
            "type",
            "invalid rule type 'forward' for rule_env 'vm'",
        );
        case(
            "IN ACCEPT -i eth0",
            "iface",
            "value does not match the regex pattern 'net\\d+'",
        );
        case(
            "IN ACCEPT -dport 22",
            "proto",
            "missing property - 'dport' requires this property",
        );
        case(
            "IN ACCEPT -p gre -dport 22",
            "dport",
            "protocol 'gre' does not support ports",
        );
        case(
            "IN ACCEPT -p tcp -icmp-type any",
            "proto",
            "missing property - 'icmp-type' requires this property",
        );
        case(
            "IN ACCEPT -p icmp -icmp-type no-route",
            "icmp-type",
            "invalid icmp-type 'no-route' for proto 'icmp'",
        );
        case("IN ACCEPT -p no", "proto", "unknown protocol 'no'");
        case("IN ACCEPT -source +none", "source", "no such ipset 'none'");
        case("IN ACCEPT -source none", "source", "no such alias 'none'");
        case("IN Nope(ACCEPT)", "macro", "unknown macro 'Nope'");
        case(
            "IN SSH(ACCEPT) -p udp",
            "proto",
            "parameter 'proto' already define in macro (value = 'tcp')",
        );
        case(
            "IN ACCEPT -source 192.0.2.1 -dest 2001:db8::1",
            "dest",
            "detected mixed ipv4/ipv6 addresses in rule",
        );
        assert!(errors("IN SSH(ACCEPT) -source 2001:db8::/32").is_empty());
    }

    #[test]
    fn a_rule_with_an_address_has_its_ip_version() {
        let (own, datacenter) = (Config::default(), Datacenter::default());
        let scope = Scope {
            environment: Environment::Vm,
            own: &own,
            datacenter: &datacenter,
        };
        let mut rule = Rule::from_line("IN ssh(ACCEPT) -source 2001:db8::1").unwrap();
        assert!(rule.verify(scope).is_empty());
        assert_eq!(
            (rule.get("ipversion"), rule.get("macro")),
            (Some("6"), Some("SSH"))
        );
    }
}
