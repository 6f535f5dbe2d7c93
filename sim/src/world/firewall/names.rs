//! The names that rules may use: macros, protocols, services, ICMP types.
//!
//! Protocols and services are those of Debian's `/etc/protocols` and `/etc/services` that firewalls are written
//! for, not the whole files; numbers are always taken.

/// A macro: a named set of rule templates. Only what clients can see of it is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Macro {
    /// Its name, as PVE spells it.
    pub(crate) name: &'static str,
    /// What it is for.
    pub(crate) about: &'static str,
    /// The protocol of its first template.
    pub(crate) protocol: &'static str,
    /// The destination ports of its first template; empty if that has none.
    pub(crate) ports: &'static str,
    /// Whether it exists for IPv6 only.
    pub(crate) only_v6: bool,
}

const fn m(name: &'static str, about: &'static str, protocol: &'static str, ports: &'static str) -> Macro {
    Macro {
        name,
        about,
        protocol,
        ports,
        only_v6: false,
    }
}

/// All macros, in the order of their names.
pub(crate) const MACROS: &[Macro] = &[
    m("Amanda", "Amanda backups", "udp", "10080"),
    m("Auth", "Ident", "tcp", "113"),
    m("BGP", "Border Gateway Protocol", "tcp", "179"),
    m("BitTorrent", "BitTorrent up to 3.1", "tcp", "6881:6889"),
    m("BitTorrent32", "BitTorrent from 3.2 on", "tcp", "6881:6999"),
    m("CVS", "CVS server", "tcp", "2401"),
    m("Ceph", "Ceph monitors, OSDs and metadata servers", "tcp", "6789"),
    m("Citrix", "Citrix ICA", "tcp", "1494"),
    m("DAAP", "Digital Audio Access Protocol", "tcp", "3689"),
    m("DCC", "Distributed Checksum Clearinghouse", "tcp", "6277"),
    m("DHCPfwd", "Forwarded DHCP", "udp", "67:68"),
    Macro {
        only_v6: true,
        ..m("DHCPv6", "DHCP for IPv6", "udp", "546:547")
    },
    m("DNS", "Domain Name System", "udp", "53"),
    m("Distcc", "Distributed compiling", "tcp", "3632"),
    m("FTP", "File Transfer Protocol", "tcp", "21"),
    m("Finger", "Finger", "tcp", "79"),
    m("GNUnet", "GNUnet", "tcp", "2086"),
    m("GRE", "Generic Routing Encapsulation", "47", ""),
    m("Git", "Git's own protocol", "tcp", "9418"),
    m("HKP", "OpenPGP key servers", "tcp", "11371"),
    m("HTTP", "Web without encryption", "tcp", "80"),
    m("HTTPS", "Web with encryption", "tcp", "443"),
    m("ICPV2", "Internet Cache Protocol", "udp", "3130"),
    m("ICQ", "ICQ and AIM", "tcp", "5190"),
    m("IMAP", "Mail reading by IMAP", "tcp", "143"),
    m("IMAPS", "Mail reading by IMAP over TLS", "tcp", "993"),
    m("IPIP", "IP in IP", "94", ""),
    m("IPsec", "IPsec", "udp", "500"),
    m("IPsecah", "IPsec with authentication headers", "udp", "500"),
    m("IPsecnat", "IPsec through NAT", "udp", "500"),
    m("IRC", "Internet Relay Chat", "tcp", "6667"),
    m("Jetdirect", "HP network printers", "tcp", "9100"),
    m("L2TP", "Layer 2 Tunneling Protocol", "udp", "1701"),
    m("LDAP", "Directory access", "tcp", "389"),
    m("LDAPS", "Directory access over TLS", "tcp", "636"),
    m("MDNS", "Multicast DNS", "udp", "5353"),
    m("MSNP", "Microsoft Notification Protocol", "tcp", "1863"),
    m("MSSQL", "Microsoft SQL Server", "tcp", "1433"),
    m("Mail", "Mail delivery and submission", "tcp", "25"),
    m("Munin", "Munin monitoring", "tcp", "4949"),
    m("MySQL", "MySQL and MariaDB", "tcp", "3306"),
    m("NNTP", "Usenet news", "tcp", "119"),
    m("NNTPS", "Usenet news over TLS", "tcp", "563"),
    m("NTP", "Network Time Protocol", "udp", "123"),
    Macro {
        only_v6: true,
        ..m(
            "NeighborDiscovery",
            "IPv6 neighbours and router advertisements",
            "icmpv6",
            "router-solicitation",
        )
    },
    m("OSPF", "OSPF routing", "89", ""),
    m("OpenVPN", "OpenVPN", "udp", "1194"),
    m("PCA", "pcAnywhere", "udp", "5632"),
    m("PMG", "Web interface of Proxmox Mail Gateway", "tcp", "8006"),
    m("POP3", "Mail fetching by POP3", "tcp", "110"),
    m("POP3S", "Mail fetching by POP3 over TLS", "tcp", "995"),
    m("PPtP", "Point-to-Point Tunneling Protocol", "47", ""),
    m("Ping", "ICMP echo requests", "icmp", "echo-request"),
    m("PostgreSQL", "PostgreSQL", "tcp", "5432"),
    m("Printer", "Line printer daemon", "tcp", "515"),
    m("RDP", "Remote Desktop of Windows", "tcp", "3389"),
    m("RIP", "RIP routing", "udp", "520"),
    m("RNDC", "Control of BIND", "tcp", "953"),
    m("Razor", "Razor spam filter", "tcp", "2703"),
    m("Rdate", "rdate", "tcp", "37"),
    m("Rsync", "rsync daemon", "tcp", "873"),
    m("SANE", "Scanners by SANE", "tcp", "6566"),
    m("SMB", "Windows file shares", "udp", "135,445"),
    m("SMBswat", "Samba's SWAT", "tcp", "901"),
    m("SMTP", "Mail delivery", "tcp", "25"),
    m("SMTPS", "Mail delivery over TLS", "tcp", "465"),
    m("SNMP", "SNMP monitoring", "udp", "161:162"),
    m("SPAMD", "SpamAssassin daemon", "tcp", "783"),
    m("SPICEproxy", "SPICE proxy of Proxmox VE", "tcp", "3128"),
    m("SSH", "Secure Shell", "tcp", "22"),
    m("SVN", "Subversion's own server", "tcp", "3690"),
    m("SixXS", "SixXS tunnels", "tcp", "3874"),
    m("Squid", "Squid web proxy", "tcp", "3128"),
    m("Submission", "Mail submission", "tcp", "587"),
    m("Syslog", "Syslog", "udp", "514"),
    m("TFTP", "Trivial File Transfer Protocol", "udp", "69"),
    m("Telnet", "Telnet", "tcp", "23"),
    m("Telnets", "Telnet over TLS", "tcp", "992"),
    m("Time", "Time protocol of RFC 868", "tcp", "37"),
    m("Trcrt", "Traceroute of up to 30 hops", "udp", "33434:33524"),
    m("VNC", "VNC displays 0 to 99", "tcp", "5900:5999"),
    m("VNCL", "VNC viewers that listen", "tcp", "5500"),
    m("Web", "Web with and without encryption", "tcp", "80"),
    m("Webcache", "Web caches on port 8080", "tcp", "8080"),
    m("Webmin", "Webmin", "tcp", "10000"),
    m("Whois", "Whois", "tcp", "43"),
];

/// The macro of that name, however it is capitalised.
pub(crate) fn find_macro(name: &str) -> Option<&'static Macro> {
    MACROS.iter().find(|known| known.name.eq_ignore_ascii_case(name))
}

const PROTOCOLS: &[(&str, u8)] = &[
    ("ip", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ggp", 3),
    ("ipencap", 4),
    ("st", 5),
    ("tcp", 6),
    ("egp", 8),
    ("igp", 9),
    ("pup", 12),
    ("udp", 17),
    ("hmp", 20),
    ("xns-idp", 22),
    ("rdp", 27),
    ("iso-tp4", 29),
    ("dccp", 33),
    ("xtp", 36),
    ("ddp", 37),
    ("idpr-cmtp", 38),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("idrp", 45),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("skip", 57),
    ("ipv6-icmp", 58),
    ("icmpv6", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("rspf", 73),
    ("vmtp", 81),
    ("eigrp", 88),
    ("ospf", 89),
    ("ax.25", 93),
    ("ipip", 94),
    ("etherip", 97),
    ("encap", 98),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("isis", 124),
    ("sctp", 132),
    ("fc", 133),
    ("mobility-header", 135),
    ("udplite", 136),
    ("mpls-in-ip", 137),
    ("manet", 138),
    ("hip", 139),
    ("shim6", 140),
    ("wesp", 141),
    ("rohc", 142),
];

/// Whether `/etc/protocols` has a protocol of that name or number.
pub(crate) fn is_protocol(text: &str) -> bool {
    PROTOCOLS
        .iter()
        .any(|(name, number)| *name == text || number.to_string() == text)
}

/// Whether a protocol has ports.
pub(crate) fn has_ports(protocol: &str) -> bool {
    [
        "udp", "17", "udplite", "136", "tcp", "6", "dccp", "33", "sctp", "132",
    ]
    .contains(&protocol)
}

/// Whether a protocol is ICMP for IPv4 or IPv6.
pub(crate) fn is_icmp(protocol: &str) -> bool {
    ["icmp", "icmpv6", "ipv6-icmp"].contains(&protocol)
}

const SERVICES: &[&str] = &[
    "acap",
    "afpovertcp",
    "amanda",
    "amqp",
    "bgp",
    "bgpd",
    "biff",
    "bootpc",
    "bootps",
    "chargen",
    "cvspserver",
    "daap",
    "daytime",
    "dict",
    "discard",
    "distcc",
    "domain",
    "domain-s",
    "echo",
    "epmd",
    "exec",
    "fido",
    "finger",
    "ftp",
    "ftp-data",
    "ftps",
    "ftps-data",
    "git",
    "gopher",
    "gpsd",
    "groupwise",
    "hkp",
    "hostmon",
    "http",
    "http-alt",
    "https",
    "imap2",
    "imap3",
    "imaps",
    "ipp",
    "ipsec-nat-t",
    "irc",
    "ircd",
    "ircs-u",
    "isakmp",
    "kerberos",
    "kpasswd",
    "l2f",
    "ldap",
    "ldaps",
    "login",
    "mdns",
    "microsoft-ds",
    "ms-sql-m",
    "ms-sql-s",
    "munin",
    "mysql",
    "netbios-dgm",
    "netbios-ns",
    "netbios-ssn",
    "netstat",
    "nfs",
    "nntp",
    "nntps",
    "nsca",
    "ntp",
    "openvpn",
    "ospfd",
    "pop3",
    "pop3s",
    "postgresql",
    "printer",
    "puppet",
    "qotd",
    "radius",
    "radius-acct",
    "remctl",
    "ripd",
    "rsync",
    "rtelnet",
    "sieve",
    "sip",
    "sip-tls",
    "smtp",
    "snmp",
    "snmp-trap",
    "socks",
    "spamd",
    "ssh",
    "submission",
    "submissions",
    "sunrpc",
    "svn",
    "syslog",
    "syslog-tls",
    "telnet",
    "telnets",
    "tftp",
    "time",
    "tproxy",
    "ulistserv",
    "uucp",
    "webmin",
    "whois",
    "x11",
    "xmpp-client",
    "xmpp-server",
    "zabbix-agent",
    "zabbix-trapper",
    "zebra",
];

/// Whether `/etc/services` has a service of that name.
pub(crate) fn is_service(name: &str) -> bool {
    SERVICES.contains(&name)
}

const ICMP_TYPES: &[&str] = &[
    "any",
    "echo-reply",
    "destination-unreachable",
    "network-unreachable",
    "host-unreachable",
    "protocol-unreachable",
    "port-unreachable",
    "fragmentation-needed",
    "source-route-failed",
    "network-unknown",
    "host-unknown",
    "network-prohibited",
    "host-prohibited",
    "TOS-network-unreachable",
    "TOS-host-unreachable",
    "communication-prohibited",
    "host-precedence-violation",
    "precedence-cutoff",
    "source-quench",
    "redirect",
    "network-redirect",
    "host-redirect",
    "TOS-network-redirect",
    "TOS-host-redirect",
    "echo-request",
    "router-advertisement",
    "router-solicitation",
    "time-exceeded",
    "ttl-zero-during-transit",
    "ttl-zero-during-reassembly",
    "parameter-problem",
    "ip-header-bad",
    "required-option-missing",
    "timestamp-request",
    "timestamp-reply",
    "address-mask-request",
    "address-mask-reply",
];

const ICMPV6_TYPES: &[&str] = &[
    "destination-unreachable",
    "no-route",
    "communication-prohibited",
    "beyond-scope",
    "address-unreachable",
    "port-unreachable",
    "failed-policy",
    "reject-route",
    "packet-too-big",
    "time-exceeded",
    "ttl-zero-during-transit",
    "ttl-zero-during-reassembly",
    "parameter-problem",
    "bad-header",
    "unknown-header-type",
    "unknown-option",
    "echo-request",
    "echo-reply",
    "router-solicitation",
    "router-advertisement",
    "neighbor-solicitation",
    "neighbour-solicitation",
    "neighbor-advertisement",
    "neighbour-advertisement",
    "redirect",
];

/// Whether ICMP for IPv4 has a type of that name.
pub(crate) fn is_icmp_type(name: &str) -> bool {
    ICMP_TYPES.contains(&name)
}

/// Whether ICMP for IPv6 has a type of that name.
pub(crate) fn is_icmpv6_type(name: &str) -> bool {
    ICMPV6_TYPES.contains(&name)
}

/// The longest name of a set or an alias.
pub(crate) const LONGEST: usize = 64;
/// The longest name of a security group.
pub(crate) const LONGEST_GROUP: usize = 18;

/// A letter, then letters, digits, `-` and `_`: names of sets, aliases and groups.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() >= 2
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_macros_as_in_pve_and_each_is_there_once() {
        let names = MACROS
            .iter()
            .map(|m| m.name)
            .collect::<std::collections::BTreeSet<_>>();
        assert_eq!((MACROS.len(), names.len()), (86, 86));
    }

    #[test]
    fn the_ports_of_every_macro_are_ports_that_a_rule_takes() {
        for known in MACROS.iter().filter(|m| !m.ports.is_empty()) {
            assert_eq!(
                super::super::values::ports(known.ports, true),
                Ok(()),
                "{}",
                known.name
            );
            assert!(is_protocol(known.protocol), "{}", known.name);
        }
    }

    #[test]
    fn a_macro_is_found_however_it_is_capitalised() {
        assert_eq!(find_macro("https").map(|m| m.name), Some("HTTPS"));
        assert!(find_macro("Nothing").is_none());
    }
}
