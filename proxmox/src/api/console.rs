//! Opening a VM's screen.
//!
//! PVE answers `vncproxy` with a port on the very host that was asked, which waits ten seconds for one connection by
//! `vncwebsocket` to the same host, with the same token. VNC's own password is good for 30 seconds after that.

use http::Method;
use serde::{Deserialize, Deserializer};

use crate::client::{Client, Place, Vm};
use crate::console::ConsoleSocket;
use crate::error::Error;
use crate::id::{NodeName, VmId};
use crate::lenient;
use crate::route::{Params, Route};
use crate::secret::Secret;
use crate::transport::Class;
use crate::upid::Upid;

/// The ports that PVE gives to VNC.
const PORTS: std::ops::RangeInclusive<u64> = 5900..=5999;

/// A port that waits for one connection, and what opens it.
#[derive(Debug)]
pub struct VncProxy {
    client: Client,
    vmid: VmId,
    place: Place,
    port: u16,
    ticket: Secret,
    password: Secret,
    upid: Option<Upid>,
}

#[derive(Deserialize)]
struct Opened {
    #[serde(deserialize_with = "lenient::u64")]
    port: Option<u64>,
    ticket: SecretText,
    #[serde(default)]
    password: Option<SecretText>,
    #[serde(default)]
    upid: Option<Upid>,
}

struct SecretText(Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Secret::new(String::deserialize(deserializer)?)))
    }
}

impl Vm {
    /// Opens a port to the VM's screen. It has to be used at once: see [`VncProxy::connect`].
    ///
    /// A VM that does not run has an answer as well; its connection ends before a word is spoken.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] without `VM.Console`; else as any write.
    pub async fn vnc_proxy(&self) -> Result<VncProxy, Error> {
        let params = Params::new()
            .flag("websocket", true)
            // Without it, versions before April 2026 take the ticket for the password, and VNC looks at no more than
            // its first eight characters, which are the same for everybody. Newer ones do not mind it.
            .flag("generate-password", true);
        let (opened, place): (Opened, _) = self
            .call_somewhere(Class::Write, Method::POST, |vm| vm.word("/vncproxy"), params)
            .await?;
        let port = opened.port.filter(|port| PORTS.contains(port));
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else {
            let route = Route::vm(Method::POST, &place.node, self.vmid()).word("/vncproxy");
            return Err(Error::Malformed {
                target: route.target(self.client().name()),
                problem: "the port is not between 5900 and 5999".to_owned(),
            });
        };
        let ticket = opened.ticket.0;
        Ok(VncProxy {
            client: self.client().clone(),
            vmid: self.vmid(),
            place,
            port,
            password: opened
                .password
                .map_or_else(|| ticket.clone(), |password| password.0),
            ticket,
            upid: opened.upid,
        })
    }
}

impl VncProxy {
    /// The password that VNC asks for; its protocol uses the first eight bytes of it.
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// The port, 5900 to 5999, on the host that answered.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The node that had the VM.
    pub fn node(&self) -> &NodeName {
        &self.place.node
    }

    /// The task that waits and then runs as long as the connection does.
    pub fn upid(&self) -> Option<&Upid> {
        self.upid.as_ref()
    }

    /// Connects to the port, at the endpoint that opened it and no other, with the trust of all calls. It works once;
    /// take the password before.
    ///
    /// # Errors
    /// - [`Error::Unauthorized`]: the ticket is older than 40 s, or was given to another token. Ask for a new one.
    /// - [`Error::Transport`]: nothing waits at the port any more; it does so for ten seconds.
    /// - Else as any call. None is repeated.
    pub async fn connect(self) -> Result<ConsoleSocket, Error> {
        let route = Route::vm(Method::GET, &self.place.node, self.vmid).word("/vncwebsocket");
        let params = Params::new()
            .set("port", self.port)
            .secret("vncticket", &self.ticket);
        let transport = self.client.transport();
        let stream = transport.upgrade(self.place.endpoint, &route, &params).await?;
        Ok(ConsoleSocket::over(stream).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(json: &str) -> Opened {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_port_may_be_a_number_or_a_text_and_the_password_may_be_missing() {
        let new = opened(r#"{"port":"5900","ticket":"pass:word:PVEVNC:1::x","password":"pass:wor"}"#);
        assert_eq!(new.port, Some(5900));
        assert_eq!(new.password.unwrap().0.expose(), "pass:wor");
        let old = opened(r#"{"port":5901,"ticket":"PVEVNC:1::x","cert":"","user":"a@b"}"#);
        assert_eq!(old.port, Some(5901));
        assert!(old.password.is_none());
    }
}
