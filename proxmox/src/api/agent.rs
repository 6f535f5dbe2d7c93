//! The QEMU guest agent.
//!
//! It speaks for whoever rules the guest: everything it says is hostile until checked.

use std::net::IpAddr;

use http::Method;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use crate::answer::{clean, malformed};
use crate::client::{Place, Vm};
use crate::entries::Entries;
use crate::error::{Error, Target};
use crate::foreign;
use crate::lenient;
use crate::property::MacAddress;
use crate::reason::Reason;
use crate::route::{Params, Route};
use crate::secret::Secret;
use crate::transport::Class;

/// Whether the guest agent can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    /// It answers.
    Answers,
    /// It is enabled and does not answer: not installed, not started yet, or the guest is busy.
    Silent,
    /// The VM's config does not enable it.
    NotConfigured,
}

/// The system in a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct GuestOs {
    /// Such as `debian` or `mswindows`.
    #[serde(default, deserialize_with = "short")]
    pub id: Option<String>,
    /// For people, such as `Debian GNU/Linux 13 (trixie)`.
    #[serde(default, rename = "pretty-name", deserialize_with = "short")]
    pub pretty_name: Option<String>,
    /// Such as `13`.
    #[serde(default, rename = "version-id", deserialize_with = "short")]
    pub version_id: Option<String>,
    /// The kernel.
    #[serde(default, rename = "kernel-release", deserialize_with = "short")]
    pub kernel_release: Option<String>,
    /// Such as `x86_64`.
    #[serde(default, deserialize_with = "short")]
    pub machine: Option<String>,
}

impl GuestOs {
    /// Whether it is a Windows.
    pub fn is_windows(&self) -> bool {
        self.id.as_deref() == Some("mswindows")
    }
}

/// An address that a guest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GuestAddress {
    /// The address.
    pub address: IpAddr,
    /// The length of its network's prefix.
    pub prefix: Option<u8>,
}

/// A network interface of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestInterface {
    /// Its name in the guest.
    pub name: String,
    /// Its hardware address.
    pub mac: Option<MacAddress>,
    /// Its addresses.
    pub addresses: Vec<GuestAddress>,
}

/// A mounted file system of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GuestFileSystem {
    /// Where it is mounted.
    #[serde(default, deserialize_with = "short")]
    pub mountpoint: Option<String>,
    /// Such as `ext4`.
    #[serde(default, rename = "type", deserialize_with = "short")]
    pub kind: Option<String>,
    /// Size, bytes; older agents do not say.
    #[serde(default, rename = "total-bytes", deserialize_with = "lenient::counted")]
    pub total: Option<u64>,
    /// Used bytes; older agents do not say.
    #[serde(default, rename = "used-bytes", deserialize_with = "lenient::counted")]
    pub used: Option<u64>,
}

/// How a command in a guest stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ExecStatus {
    /// Whether it has ended.
    #[serde(default, deserialize_with = "lenient::bool")]
    pub exited: bool,
    /// How it ended by itself.
    #[serde(default, deserialize_with = "exit_code")]
    pub exitcode: Option<i64>,
    /// The signal that ended it.
    #[serde(default, deserialize_with = "lenient::u64")]
    pub signal: Option<u64>,
    /// What it wrote.
    #[serde(default, rename = "out-data", deserialize_with = "lenient::text")]
    pub output: Option<String>,
    /// What it wrote as errors.
    #[serde(default, rename = "err-data", deserialize_with = "lenient::text")]
    pub errors: Option<String>,
}

/// Exit codes of Windows may be negative.
fn exit_code<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let text = lenient::text(deserializer)?;
    Ok(text.and_then(|text| text.trim().parse().ok()))
}

/// A text for a page: no control characters, not long.
fn short<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = lenient::text(deserializer)?;
    Ok(text.map(|text| trimmed(&text)).filter(|text| !text.is_empty()))
}

fn trimmed(text: &str) -> String {
    let kept = foreign::kept(text, 256);
    kept.trim().to_owned()
}

/// What PVE wraps an agent's answer in. A refusal of the agent is in there too, with status 200.
#[derive(Deserialize)]
struct Wrapped {
    #[serde(default)]
    result: Option<Box<RawValue>>,
}

/// The agent's refusal, in place of its answer.
#[derive(Deserialize)]
struct AgentFailure {
    error: Option<AgentError>,
}

#[derive(Deserialize)]
struct AgentError {
    #[serde(default, deserialize_with = "lenient::text")]
    desc: Option<String>,
}

impl AgentFailure {
    /// The text of a refusal, `None` for an answer.
    fn text_of(result: &str) -> Option<String> {
        // A list would be read as the fields of a struct, one by one.
        let failure = result
            .starts_with('{')
            .then(|| serde_json::from_str::<Self>(result));
        Some(failure?.ok()?.error?.desc.unwrap_or_default())
    }
}

#[derive(Deserialize)]
struct InterfaceEntry {
    #[serde(deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(default, rename = "hardware-address", deserialize_with = "lenient::text")]
    mac: Option<String>,
    /// Absent for an interface without addresses.
    #[serde(default, rename = "ip-addresses")]
    addresses: Option<Entries<AddressEntry>>,
}

#[derive(Deserialize)]
struct AddressEntry {
    #[serde(rename = "ip-address")]
    address: String,
    #[serde(default, deserialize_with = "lenient::u64")]
    prefix: Option<u64>,
}

impl AddressEntry {
    fn read(self) -> Option<GuestAddress> {
        // A link-local address may carry the interface behind a percent sign.
        let text = self.address.split('%').next()?;
        let address: IpAddr = text.trim().parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        Some(GuestAddress {
            address,
            prefix: self
                .prefix
                .and_then(|prefix| u8::try_from(prefix).ok())
                .filter(|prefix| *prefix <= longest),
        })
    }
}

impl InterfaceEntry {
    fn read(self) -> GuestInterface {
        let entries = self.addresses.unwrap_or_default();
        let addresses = entries.kept("addresses of a guest");
        GuestInterface {
            name: trimmed(&self.name.unwrap_or_default()),
            mac: self.mac.and_then(|mac| mac.trim().parse().ok()),
            addresses: addresses.into_iter().filter_map(AddressEntry::read).collect(),
        }
    }
}

impl Vm {
    /// `POST agent/ping`: whether the guest agent answers. PVE waits some seconds for one that does not, and a worker
    /// of the node with it.
    ///
    /// As all questions to the agent it is not asked again after an answer, but at another endpoint when there was none.
    ///
    /// # Errors
    /// A stopped VM is [`Reason::NotRunning`]; a missing right and faults of the way are errors too.
    pub async fn agent_ping(&self) -> Result<AgentState, Error> {
        let ping = self.call::<IgnoredAny>(
            Class::Probe,
            Method::POST,
            |vm| vm.word("/agent/ping"),
            Params::new(),
        );
        match ping.await {
            Ok(_) => Ok(AgentState::Answers),
            Err(error) => match error.reason() {
                Some(Reason::AgentNotConfigured) => Ok(AgentState::NotConfigured),
                Some(Reason::AgentNotRunning | Reason::Timeout) => Ok(AgentState::Silent),
                _ => Err(error),
            },
        }
    }

    /// `GET agent/get-osinfo`: the system in the guest.
    ///
    /// # Errors
    /// As all questions to the agent: [`Reason::AgentNotConfigured`], [`Reason::AgentNotRunning`],
    /// [`Reason::Timeout`], and [`Reason::AgentRefused`] when it does not do this.
    pub async fn agent_os(&self) -> Result<GuestOs, Error> {
        self.ask("/agent/get-osinfo").await
    }

    /// `GET agent/get-host-name`: the name that the guest gives itself.
    ///
    /// # Errors
    /// As [`Vm::agent_os`].
    pub async fn agent_host_name(&self) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Name {
            #[serde(default, rename = "host-name", deserialize_with = "short")]
            name: Option<String>,
        }
        let name: Name = self.ask("/agent/get-host-name").await?;
        Ok(name.name.unwrap_or_default())
    }

    /// `GET agent/network-get-interfaces`: the guest's interfaces with their addresses.
    ///
    /// # Errors
    /// As [`Vm::agent_os`].
    pub async fn agent_interfaces(&self) -> Result<Vec<GuestInterface>, Error> {
        let entries: Entries<InterfaceEntry> = self.ask("/agent/network-get-interfaces").await?;
        let entries = entries.kept("interfaces of a guest");
        Ok(entries.into_iter().map(InterfaceEntry::read).collect())
    }

    /// `GET agent/get-fsinfo`: the guest's mounted file systems.
    ///
    /// # Errors
    /// As [`Vm::agent_os`].
    pub async fn agent_file_systems(&self) -> Result<Vec<GuestFileSystem>, Error> {
        let entries: Entries<_> = self.ask("/agent/get-fsinfo").await?;
        Ok(entries.kept("file systems of a guest"))
    }

    /// `POST agent/set-user-password`: gives a user of the guest another password, at once. With `crypted` the
    /// password is a crypt(3) hash. PVE wants 5 to 1024 characters.
    ///
    /// Setting the same password again does no harm.
    ///
    /// # Errors
    /// [`Reason::AgentRefused`] when the guest has no such user or forbids this; else as [`Vm::agent_os`].
    /// After [`Reason::Timeout`] it may have been set.
    pub async fn agent_set_password(
        &self,
        user: &str,
        password: &Secret,
        crypted: bool,
    ) -> Result<(), Error> {
        let params = Params::new()
            .set("username", user)
            .secret("password", password)
            .flag("crypted", crypted);
        self.tell::<IgnoredAny>("/agent/set-user-password", params)
            .await?;
        Ok(())
    }

    /// `POST agent/exec`: begins a command in the guest, the program first, each argument by itself; no shell
    /// takes part. Gives its process, for [`Vm::agent_exec_status`].
    ///
    /// # Errors
    /// [`Reason::AgentRefused`] when there is no such program or the guest forbids this; else as
    /// [`Vm::agent_os`].
    pub async fn agent_exec(&self, command: &[&str], input: Option<&Secret>) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Begun {
            #[serde(deserialize_with = "lenient::u64")]
            pid: Option<u64>,
        }
        // PVE wants the key once for each word.
        let words = command
            .iter()
            .fold(Params::new(), |params, word| params.set("command", word));
        let params = match input {
            Some(input) => words.secret("input-data", input),
            None => words,
        };
        let path = "/agent/exec";
        let (begun, place) = self
            .call_somewhere::<Begun>(Class::Write, Method::POST, |vm| vm.word(path), params)
            .await?;
        begun
            .pid
            .ok_or_else(|| malformed(self.agent_target(Method::POST, &place, path), &"no process"))
    }

    /// `GET agent/exec-status`: how a command stands. The agent tells its end once only, so this is not repeated
    /// by itself.
    ///
    /// # Errors
    /// [`Reason::AgentRefused`] for a process that the agent does not know (any more).
    pub async fn agent_exec_status(&self, pid: u64) -> Result<ExecStatus, Error> {
        let params = Params::new().set("pid", pid);
        self.bare(Class::Write, Method::GET, "/agent/exec-status", params)
            .await
    }

    async fn ask<T: DeserializeOwned>(&self, path: &'static str) -> Result<T, Error> {
        self.wrapped(Class::Probe, Method::GET, path, Params::new()).await
    }

    async fn tell<T: DeserializeOwned>(&self, path: &'static str, params: Params) -> Result<T, Error> {
        self.wrapped(Class::Write, Method::POST, path, params).await
    }

    /// Commands with parameters, whose answer is not wrapped.
    async fn bare<T: DeserializeOwned>(
        &self,
        class: Class,
        method: Method,
        path: &'static str,
        params: Params,
    ) -> Result<T, Error> {
        self.call(class, method, |vm| vm.word(path), params).await
    }

    /// Commands whose answer is wrapped, and so is the agent's own error.
    async fn wrapped<T: DeserializeOwned>(
        &self,
        class: Class,
        method: Method,
        path: &'static str,
        params: Params,
    ) -> Result<T, Error> {
        let secrets = params.secrets().cloned().collect::<Vec<_>>();
        let (answer, place) = self
            .call_somewhere::<Wrapped>(class, method.clone(), |vm| vm.word(path), params)
            .await?;
        let target = || self.agent_target(method, &place, path);
        let result = answer.result.as_deref().map_or("null", RawValue::get);
        if let Some(text) = AgentFailure::text_of(result) {
            return Err(Error::Refused {
                target: target(),
                reason: Reason::AgentRefused,
                status: 200,
                text: trimmed(&clean(&text, secrets.iter())),
            });
        }
        serde_json::from_str(result).map_err(|problem| malformed(target(), &problem))
    }

    fn agent_target(&self, method: Method, place: &Place, path: &'static str) -> Box<Target> {
        let route = Route::vm(method, &place.node, self.vmid()).word(path);
        route.target(self.client().name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(json: &str) -> GuestInterface {
        serde_json::from_str::<InterfaceEntry>(json).unwrap().read()
    }

    #[test]
    fn addresses_are_read_with_their_prefixes_and_nonsense_is_left_out() {
        let read = interface(
            r#"{"name":"eth0","hardware-address":"bc:24:11:aa:bb:cc","ip-addresses":[
                {"ip-address":"192.0.2.10","ip-address-type":"ipv4","prefix":24},
                {"ip-address":"fe80::1%eth0","ip-address-type":"ipv6","prefix":"64"},
                {"ip-address":"2001:db8::1","prefix":200},
                {"ip-address":"<script>","prefix":1},{"prefix":1},7]}"#,
        );
        let shown: Vec<_> = read
            .addresses
            .iter()
            .map(|a| (a.address.to_string(), a.prefix))
            .collect();
        assert_eq!(
            shown,
            [
                ("192.0.2.10".to_owned(), Some(24)),
                ("fe80::1".to_owned(), Some(64)),
                ("2001:db8::1".to_owned(), None)
            ]
        );
        assert_eq!(read.mac.unwrap().to_string(), "BC:24:11:AA:BB:CC");
    }

    #[test]
    fn an_interface_without_addresses_is_one_still() {
        let read = interface(r#"{"name":"wg0\u0000\n","hardware-address":""}"#);
        assert_eq!(
            (read.name.as_str(), read.mac, read.addresses.len()),
            ("wg0", None, 0)
        );
    }

    #[test]
    fn texts_of_a_guest_lose_control_characters_and_length() {
        let long = "x".repeat(10_000);
        let os: GuestOs = serde_json::from_str(&format!(
            r#"{{"id":"mswindows","pretty-name":"a\u001bb{long}","version-id":11,"machine":null}}"#
        ))
        .unwrap();
        assert!(os.is_windows());
        assert_eq!(os.pretty_name.as_ref().map(String::len), Some(256));
        assert_eq!((os.version_id.as_deref(), os.machine), (Some("11"), None));
    }

    #[test]
    fn exit_codes_of_windows_may_be_negative() {
        let status: ExecStatus =
            serde_json::from_str(r#"{"exited":1,"exitcode":-1073741515,"out-data":"x"}"#).unwrap();
        assert_eq!((status.exited, status.exitcode), (true, Some(-1_073_741_515)));
        let status: ExecStatus = serde_json::from_str(r#"{"exited":false}"#).unwrap();
        assert!(!status.exited);
    }
}
