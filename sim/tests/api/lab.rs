//! A simulator and a client that knows HTTP but nothing of PVE, for the tests of this folder.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop here"
)]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hyper::ext::ReasonPhrase;
use pve_sim::{Action, Control, Handle, Major, Options, Simulator, VmView};
use reqwest::{Certificate, Method, Response};
use serde_json::Value;

pub(crate) const PANEL: &str = "PVEAPIToken=portico@pve!panel=7f0a3c52-6a4e-4b1d-9a57-0d6f3b8e21c4";
pub(crate) const AUDITOR: &str = "PVEAPIToken=auditor@pve!read=1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";

/// A running simulator and somebody who calls it.
pub(crate) struct Lab {
    pub(crate) handle: Handle,
    pub(crate) client: reqwest::Client,
    auth: Vec<(&'static str, String)>,
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) closes: bool,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let status = response.status();
        let reason = response
            .extensions()
            .get::<ReasonPhrase>()
            .map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned())
            .or_else(|| status.canonical_reason().map(str::to_owned))
            .unwrap_or_default();
        let closes = response
            .headers()
            .get("connection")
            .is_some_and(|value| value == "close");
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self {
            status: status.as_u16(),
            reason,
            closes,
            text,
            json,
        }
    }

    /// The data of a success.
    pub(crate) fn data(self) -> Value {
        assert_eq!(self.status, 200, "{} {}", self.reason, self.text);
        self.json["data"].clone()
    }

    /// The error of a parameter.
    pub(crate) fn error(&self, name: &str) -> &str {
        self.json["errors"][name].as_str().unwrap_or_default()
    }
}

impl Lab {
    /// The demo cluster, a hundred times faster, called by the panel's token.
    pub(crate) async fn new() -> Self {
        Self::with(Options {
            time_scale: 100.0,
            ..Options::default()
        })
        .await
    }

    /// The demo cluster as one major version has it, a hundred times faster, called by the panel's token.
    pub(crate) async fn of(pve: Major) -> Self {
        Self::with(Options {
            time_scale: 100.0,
            pve,
            ..Options::default()
        })
        .await
    }

    /// Any simulator, called by the panel's token.
    pub(crate) async fn with(options: Options) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let handle = Simulator::start(options).await.unwrap();
        let certificate = Certificate::from_pem(handle.certificate_pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([certificate])
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        Self {
            handle,
            client,
            auth: vec![("authorization", PANEL.to_owned())],
        }
    }

    pub(crate) fn control(&self) -> Control {
        self.handle.control()
    }

    /// Calls with another token from now on.
    pub(crate) fn use_token(&mut self, value: &str) {
        self.auth = vec![("authorization", value.to_owned())];
    }

    /// Calls without any credentials from now on.
    pub(crate) fn use_nothing(&mut self) {
        self.auth.clear();
    }

    /// Logs in with a password and calls with the ticket from now on.
    pub(crate) async fn log_in(&mut self, user: &str, password: &str) {
        self.use_nothing();
        let data = self
            .post("/access/ticket", &[("username", user), ("password", password)])
            .await
            .data();
        let (ticket, csrf) = (data["ticket"].as_str(), data["CSRFPreventionToken"].as_str());
        self.use_ticket(ticket.unwrap(), csrf.unwrap());
    }

    /// Calls with a ticket from now on.
    pub(crate) fn use_ticket(&mut self, ticket: &str, csrf: &str) {
        let ticket = ticket
            .replace('%', "%25")
            .replace('+', "%2B")
            .replace('=', "%3D")
            .replace('/', "%2F");
        self.auth = vec![
            ("cookie", format!("PVEAuthCookie={ticket}")),
            ("csrfpreventiontoken", csrf.to_owned()),
        ];
    }

    pub(crate) async fn root(&mut self) {
        self.log_in("root@pam", "demo-root-password").await;
    }

    /// The lines of a request's head that say who calls.
    pub(crate) fn header_lines(&self) -> String {
        let lines = self
            .auth
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        lines.collect()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self
            .client
            .request(method, format!("{}/api2/json{path}", self.handle.url()));
        self.auth
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, value))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.request(Method::POST, path).form(form)).await
    }

    pub(crate) async fn put(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.request(Method::PUT, path).form(form)).await
    }

    /// Gets a list.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        self.get(path).await.data().as_array().unwrap().clone()
    }

    /// Changes a VM's configuration.
    pub(crate) async fn set(&self, path: &str, form: &[(&str, &str)]) {
        self.put(path, form).await.data();
    }

    /// A VM as it is inside.
    pub(crate) fn vm(&self, vmid: u32) -> VmView {
        self.control().vm(vmid).unwrap()
    }

    /// Starts or stops a VM as from outside, and gives what it is then.
    pub(crate) fn switched(&self, vmid: u32, running: bool) -> VmView {
        self.act(Action::SetRunning { vmid, running });
        self.vm(vmid)
    }

    /// Changes the cluster from outside.
    pub(crate) fn act(&self, action: Action) {
        self.control().act(action).unwrap();
    }

    /// Waits for a task by the API and gives its exit status.
    pub(crate) async fn exit_of(&self, upid: &Value) -> String {
        let upid = upid.as_str().unwrap_or_else(|| panic!("not a UPID: {upid}"));
        let node = upid.split(':').nth(1).unwrap();
        let path = format!("/nodes/{node}/tasks/{upid}/status");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let data = self.get(&path).await.data();
            if data["status"] == "stopped" {
                return data["exitstatus"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < deadline, "the task does not end: {upid}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Posts, waits for the task, gives its exit status.
    pub(crate) async fn run(&self, path: &str, form: &[(&str, &str)]) -> String {
        let upid = self.post(path, form).await.data();
        self.exit_of(&upid).await
    }

    /// Polls until a condition on the inside holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Control) -> bool) {
        let (control, deadline) = (self.control(), Instant::now() + Duration::from_secs(20));
        while !holds(&control) {
            assert!(Instant::now() < deadline, "never came true: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The configuration of a VM as the API shows it.
    pub(crate) async fn config(&self, node: &str, vmid: u32) -> Value {
        self.get(&format!("/nodes/{node}/qemu/{vmid}/config"))
            .await
            .data()
    }

    /// A VM as the list of resources has it.
    pub(crate) async fn resource(&self, vmid: u32) -> Value {
        let list = self.list("/cluster/resources?type=vm").await;
        list.into_iter().find(|entry| entry["vmid"] == vmid).unwrap()
    }

    /// The snapshots of a VM by name.
    pub(crate) async fn snapshots(&self, node: &str, vmid: u32) -> HashMap<String, Value> {
        let list = self
            .get(&format!("/nodes/{node}/qemu/{vmid}/snapshot"))
            .await
            .data();
        let named = |item: &Value| (item["name"].as_str().unwrap().to_owned(), item.clone());
        list.as_array().unwrap().iter().map(named).collect()
    }

    /// The backups of a VM as node `pve1` lists them, oldest first.
    pub(crate) async fn backups(&self, storage: &str, vmid: u32) -> Vec<Value> {
        let path = format!("/nodes/pve1/storage/{storage}/content?content=backup&vmid={vmid}");
        let mut list = self.get(&path).await.data().as_array().unwrap().clone();
        list.sort_by_key(|item| item["ctime"].as_i64());
        list
    }

    /// The whole log of a task on node `pve1`.
    pub(crate) async fn log_of(&self, upid: &Value) -> Vec<String> {
        let path = format!("/nodes/pve1/tasks/{}/log?limit=0", upid.as_str().unwrap());
        let lines = self.get(&path).await.data();
        let text = |line: &Value| line["t"].as_str().unwrap().to_owned();
        lines.as_array().unwrap().iter().map(text).collect()
    }
}

/// A whole number in an answer.
#[track_caller]
pub(crate) fn number(answer: &Value, key: &str) -> u64 {
    let number = answer[key].as_u64();
    number.unwrap_or_else(|| panic!("no `{key}` in {answer}"))
}

/// Whether a task's log has a line with this text in it.
pub(crate) fn log_has(log: &[String], text: &str) -> bool {
    log.iter().any(|line| line.contains(text))
}

/// The entry of a storage in a list.
pub(crate) fn of_storage<'v>(list: &'v Value, storage: &str) -> &'v Value {
    let mut all = list.as_array().unwrap().iter();
    all.find(|entry| entry["storage"] == storage).unwrap()
}
