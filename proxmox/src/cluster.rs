//! How a cluster is reached: endpoints, credentials, trust, limits.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::{Host, Url};

use crate::error::ConfigError;
use crate::secret::Secret;

/// All that is needed to talk to one cluster. `Debug` shows of an endpoint only where it points.
#[derive(Clone)]
pub struct ClusterConfig {
    /// A name for logs and errors.
    pub name: String,
    /// The API of one or more nodes, such as `https://pve1.example:8006`. The port is used as written
    /// (443 without one). Order is preference: the others serve when the first does not answer or has no turn free, and
    /// after a minute the first is tried again.
    ///
    /// Each must be one host. Behind a load balancer a console would be opened on one host and connected on another,
    /// and none could be passed over.
    pub endpoints: Vec<Url>,
    /// Who the panel is.
    pub token: ApiToken,
    /// How an endpoint proves who it is.
    pub trust: Trust,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How much at once, and how large.
    pub limits: Limits,
}

impl ClusterConfig {
    /// A config with the default timeouts and limits.
    pub fn new(name: impl Into<String>, endpoints: Vec<Url>, token: ApiToken, trust: Trust) -> Self {
        let (timeouts, limits) = (Timeouts::default(), Limits::default());
        Self {
            name: name.into(),
            endpoints,
            token,
            trust,
            timeouts,
            limits,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Names the field and what is wrong with it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.endpoints.is_empty() {
            return Err(ConfigError::NoEndpoint);
        }
        for endpoint in &self.endpoints {
            check_endpoint(endpoint, &self.trust)?;
        }
        let positive: [(&'static str, bool); 6] = [
            ("timeouts.connect", self.timeouts.connect.is_zero()),
            ("timeouts.read", self.timeouts.read.is_zero()),
            ("timeouts.write", self.timeouts.write.is_zero()),
            ("limits.per_node", self.limits.per_node == 0),
            ("limits.per_endpoint", self.limits.per_endpoint == 0),
            ("limits.max_body", self.limits.max_body == 0),
        ];
        match positive.into_iter().find(|(_, zero)| *zero) {
            Some((key, _)) => Err(ConfigError::Value {
                key,
                problem: "must be more than 0",
            }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ClusterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterConfig")
            .field("name", &self.name)
            .field("endpoints", &self.endpoints.iter().map(shown).collect::<Vec<_>>())
            .field("token", &self.token)
            .field("trust", &self.trust)
            .field("timeouts", &self.timeouts)
            .field("limits", &self.limits)
            .finish()
    }
}

/// Where an endpoint points. Its URL may carry a password by mistake.
fn shown(endpoint: &Url) -> String {
    let host = endpoint.host_str().unwrap_or_default();
    match endpoint.port() {
        Some(port) => format!("{}://{host}:{port}", endpoint.scheme()),
        None => format!("{}://{host}", endpoint.scheme()),
    }
}

fn check_endpoint(endpoint: &Url, trust: &Trust) -> Result<(), ConfigError> {
    let wrong = |problem| {
        Err(ConfigError::Endpoint {
            endpoint: shown(endpoint),
            problem,
        })
    };
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        return wrong("must not contain a user name or password");
    }
    if endpoint.query().is_some() || endpoint.fragment().is_some() || !matches!(endpoint.path(), "" | "/") {
        return wrong("must be only scheme, host and port, such as `https://pve1.example:8006`");
    }
    let loopback = match endpoint.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return wrong("needs a host"),
    };
    match (trust, endpoint.scheme()) {
        (Trust::PlainHttpForTests, "http") if loopback => Ok(()),
        (Trust::PlainHttpForTests, _) => wrong("plain HTTP is for tests and only to this machine"),
        (_, "https") => Ok(()),
        _ => wrong("must begin with `https://`"),
    }
}

/// How an endpoint proves who it is. There is no way to accept just any certificate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Trust {
    /// Certificates signed by one of these authorities (PEM), with a matching name. A PVE cluster's own
    /// authority is `/etc/pve/pve-root-ca.pem`.
    CaPem(Vec<u8>),
    /// Exactly these certificates. Every node has its own, so list one for each endpoint. Name and dates
    /// are not looked at: the fingerprint stands for the one certificate that was seen by a person.
    ///
    /// Each is good for every endpoint. The nodes of a cluster share all secrets, its authority's key among them, so
    /// one node that is in wrong hands could show any certificate anyway. Do not list that of another host.
    Fingerprints(Vec<Fingerprint>),
    /// The authorities that this machine's operating system trusts.
    SystemRoots,
    /// No TLS at all, to loopback addresses only. Never in production.
    PlainHttpForTests,
}

/// The SHA-256 of a certificate in DER form.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(crate) [u8; 32]);

impl FromStr for Fingerprint {
    type Err = ConfigError;

    /// Reads 64 hexadecimal digits, with colons between the pairs (as PVE shows them) or without.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::Trust("a fingerprint has 32 bytes as hexadecimal pairs".to_owned());
        let text = text.trim();
        let digits: Vec<u8> = if text.contains(':') {
            let pairs: Vec<&str> = text.split(':').collect();
            if pairs.iter().any(|pair| pair.len() != 2) {
                return Err(wrong());
            }
            pairs.concat().into_bytes()
        } else {
            text.as_bytes().to_vec()
        };
        let nibbles: Option<Vec<u8>> = digits
            .iter()
            .map(|&d| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok()))
            .collect();
        let nibbles = nibbles.ok_or_else(wrong)?;
        let bytes: Vec<u8> = nibbles
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |byte, nibble| (byte << 4) | nibble))
            .collect();
        match bytes.try_into() {
            Ok(bytes) if nibbles.len() == 64 => Ok(Self(bytes)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// An API token of PVE.
#[derive(Debug, Clone)]
pub struct ApiToken {
    id: String,
    secret: Secret,
}

impl ApiToken {
    /// Takes `USER@REALM!TOKENID` and the token's secret, a UUID.
    ///
    /// # Errors
    /// When the id is not of that form or the secret has other characters than letters, digits, hyphens.
    pub fn new(id: impl Into<String>, secret: Secret) -> Result<Self, ConfigError> {
        let id = id.into();
        let word = |text: &str| {
            text.len() >= 2
                && text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        let good = id.rsplit_once('!').is_some_and(|(owner, token)| {
            owner.rsplit_once('@').is_some_and(|(user, realm)| {
                let user_ok = !user.is_empty()
                    && !user.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':' || c == '/');
                user_ok && word(realm) && word(token)
            })
        });
        if !good {
            return Err(ConfigError::Token(
                "the id must have the form `USER@REALM!TOKENID`",
            ));
        }
        let text = secret.expose();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(ConfigError::Token(
                "the secret must be the UUID that Proxmox showed",
            ));
        }
        Ok(Self { id, secret })
    }

    /// `USER@REALM!TOKENID`, which is also the user in the ids of tasks the panel starts.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The value of the `Authorization` header.
    pub(crate) fn header(&self) -> Secret {
        // PVE unescapes the value, so an id with a percent sign needs one more.
        const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b' ').add(b'+');
        let id = utf8_percent_encode(&self.id, ESCAPED);
        Secret::new(format!("PVEAPIToken={id}={}", self.secret.expose()))
    }
}

/// How long to wait, by class of call.
///
/// The time is for one call with everything that belongs to it: half of it at most for waiting for turns, and what is
/// left, a third at least, for the last answer. Only the list that tells where VMs are has a time of its own when a call
/// has to ask for it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For TCP and TLS to come about, with each endpoint that is tried.
    pub connect: Duration,
    /// For a read. An endpoint itself waits up to 30 s for another node and then says so with 596, which
    /// tells more than a time-out of ours: keep it above. One dead storage can hold reads as long.
    pub read: Duration,
    /// For a write, which may wait for locks inside PVE.
    pub write: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(35),
            write: Duration::from_mins(1),
        }
    }
}

/// How much at once, and how large.
///
/// `pveproxy` and `pvedaemon` have three workers each: many requests at once only queue there, in front of
/// the administrator's own. What an endpoint passes on to other nodes holds none of its workers, so it takes more than a
/// node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests about one node under way at once.
    pub per_node: usize,
    /// Requests to one endpoint under way at once. One in four is for calls that no node has to answer, such as the list
    /// that tells where VMs are. As long as nodes that hang hold fewer than the other three, the calls about all other
    /// nodes go on: with the defaults two nodes for each endpoint.
    pub per_endpoint: usize,
    /// The largest answer that is read, bytes.
    pub max_body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_node: 4,
            per_endpoint: 16,
            max_body: 8 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoint: &str, trust: Trust) -> ClusterConfig {
        let token = ApiToken::new("panel@pve!portico", Secret::new("aaaa-bbbb")).unwrap();
        ClusterConfig::new("prod", vec![endpoint.parse().unwrap()], token, trust)
    }

    #[test]
    fn endpoints_are_https_with_host_and_port_only() {
        assert!(config("https://pve1:8006", Trust::SystemRoots).validate().is_ok());
        for bad in [
            "http://pve1:8006",
            "https://root:secret@pve1:8006",
            "https://pve1:8006/api2/json",
            "https://pve1:8006/?a=b",
            "ftp://pve1",
        ] {
            let config = config(bad, Trust::SystemRoots);
            let told = format!("{} {config:?}", config.validate().unwrap_err());
            assert!(!told.contains("secret@") && !told.contains("root"), "{told}");
        }
    }

    #[test]
    fn plain_http_is_taken_for_loopback_and_only_when_asked_for() {
        assert!(
            config("http://127.0.0.1:1", Trust::PlainHttpForTests)
                .validate()
                .is_ok()
        );
        assert!(
            config("http://192.0.2.1:1", Trust::PlainHttpForTests)
                .validate()
                .is_err()
        );
        assert!(
            config("https://127.0.0.1:1", Trust::PlainHttpForTests)
                .validate()
                .is_err()
        );
    }

    #[test]
    fn zero_is_no_limit_and_is_refused_with_the_name_of_the_field() {
        let mut config = config("https://pve1:8006", Trust::SystemRoots);
        config.limits.per_node = 0;
        assert!(
            config
                .validate()
                .unwrap_err()
                .to_string()
                .contains("limits.per_node")
        );
    }

    #[test]
    fn fingerprints_are_read_with_and_without_colons_and_printed_as_pve_does() {
        let plain = "ab".repeat(32);
        let shown = plain.parse::<Fingerprint>().unwrap().to_string();
        assert!(shown.starts_with("AB:AB:") && shown.len() == 95, "{shown}");
        assert_eq!(shown.parse::<Fingerprint>().unwrap().to_string(), shown);
        for bad in [
            "",
            "ab",
            &plain[1..],
            &format!("{plain}a"),
            &"zz".repeat(32),
            &"a:b".repeat(21),
        ] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_of_another_form_are_refused_and_the_secret_is_never_shown() {
        for bad in [
            "",
            "panel",
            "panel@pve",
            "panel!x",
            "a b@pve!tok",
            "panel@pve!",
            "@pve!tok",
            "p:q@pve!tok",
        ] {
            assert!(ApiToken::new(bad, Secret::new("aa-bb")).is_err(), "{bad}");
        }
        for bad in ["", "a\r\nX: y", "a b"] {
            assert!(ApiToken::new("panel@pve!tok", Secret::new(bad)).is_err(), "{bad}");
        }
        let token = ApiToken::new("panel@pve!tok", Secret::new("deadbeef")).unwrap();
        assert!(!format!("{token:?}").contains("deadbeef"));
        assert_eq!(token.header().expose(), "PVEAPIToken=panel@pve!tok=deadbeef");
        // PVE unescapes the header.
        let token = ApiToken::new("50%41@pve!tok", Secret::new("deadbeef")).unwrap();
        assert_eq!(token.header().expose(), "PVEAPIToken=50%2541@pve!tok=deadbeef");
    }
}
