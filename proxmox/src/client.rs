//! The client of one cluster, and the handle of one VM on it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::Method;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::answer::Answer;
use crate::cluster::ClusterConfig;
use crate::error::{ConfigError, Error, Target};
use crate::id::{NodeName, VmId};
use crate::nodes::{Look, NodeCache};
use crate::observe::Observer;
use crate::route::{Params, Route};
use crate::transport::{Class, Endpoint, Transport};

/// A client of one cluster. Cheap to clone; clones share connections, turns and what is known of nodes.
///
/// Every method may be dropped at any time. A write that was dropped may have been done.
///
/// A method whose call goes to a node may have to ask for the cluster's list first. That is a read with a time-out of its
/// own; when it fails, the method fails with the error of the list and has done nothing.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    nodes: NodeCache,
}

impl Client {
    /// Checks the config and makes a client. Nothing is sent yet.
    ///
    /// # Errors
    /// When a field of the config cannot be used, with its name.
    pub fn new(config: ClusterConfig, observer: Arc<dyn Observer>) -> Result<Self, ConfigError> {
        let transport = Transport::new(config, observer)?;
        Ok(Self {
            inner: Arc::new(Inner {
                transport,
                nodes: NodeCache::default(),
            }),
        })
    }

    /// The configured name of the cluster.
    pub fn name(&self) -> &str {
        self.inner.transport.cluster()
    }

    /// `USER@REALM!TOKENID` of the token, which is the user in the ids of the tasks it starts.
    pub fn token_id(&self) -> &str {
        self.inner.transport.token_id()
    }

    /// Whether the other one is a clone of this one.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The handle of a VM. Whether it exists shows with the first call.
    pub fn vm(&self, vmid: VmId) -> Vm {
        Vm {
            client: self.clone(),
            vmid,
        }
    }

    /// The node a VM is on, from the copy of the cluster's list or, when that is too old, from PVE.
    ///
    /// # Errors
    /// [`Error::VmUnknown`] when no node has it, [`Error::Busy`] when others wait for the list in vain; else what the
    /// call for the list met with.
    pub async fn node_of(&self, vmid: VmId) -> Result<NodeName, Error> {
        self.resolve(vmid, None).await
    }

    /// Drops what is known about where a VM is, as after a task failed with
    /// [`Reason::VmNotFound`](crate::Reason::VmNotFound).
    pub fn forget_node(&self, vmid: VmId) {
        self.inner.nodes.forget(vmid, Instant::now());
    }

    pub(crate) fn nodes(&self) -> &NodeCache {
        &self.inner.nodes
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        class: Class,
        route: &Route,
        params: &Params,
    ) -> Result<Answer<T>, Error> {
        let (answer, _) = self.send(class, route, params).await?;
        Ok(answer)
    }

    /// As [`Self::call`], and tells which endpoint answered. After a node was found unreachable its VMs are looked up
    /// anew soon.
    async fn send<T: DeserializeOwned>(
        &self,
        class: Class,
        route: &Route,
        params: &Params,
    ) -> Result<(Answer<T>, Arc<Endpoint>), Error> {
        let sent = self.inner.transport.call(class, route, params).await;
        sent.map_err(|failed| {
            if failed.unreachable && route.node.is_some() {
                self.nodes().doubt();
            }
            failed.error
        })
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    /// The node of a VM. With `not_before`, by a list that was asked for at that time or later.
    pub(crate) async fn resolve(&self, vmid: VmId, not_before: Option<Instant>) -> Result<NodeName, Error> {
        let came = Instant::now();
        let look = self.nodes().look(vmid, not_before, came);
        if look != Look::Stale {
            return self.found(vmid, look);
        }
        // Many calls may need the list at once: the first fetches it, the others wait for it here and take what comes
        // of it, an error too. So none waits longer than one fetch takes, but when a fetch is dropped.
        let allowed = self.transport().read_timeout();
        let Ok(_renewal) = tokio::time::timeout(allowed, self.nodes().renewal.lock()).await else {
            return Err(Error::Busy {
                target: list_target(self.name(), vmid),
                after: allowed,
            });
        };
        let look = self.nodes().look(vmid, not_before, Instant::now());
        if look != Look::Stale {
            return self.found(vmid, look);
        }
        if let Some(error) = self.nodes().failure_since(came) {
            return Err(error.about(vmid));
        }
        if let Err(error) = self.vm_resources().await {
            self.nodes().failed(&error, Instant::now());
            return Err(error.about(vmid));
        }
        let known = self.nodes().known(vmid, not_before);
        self.found(vmid, known.map_or(Look::Nowhere, Look::On))
    }

    fn found(&self, vmid: VmId, look: Look) -> Result<NodeName, Error> {
        match look {
            Look::On(node) => Ok(node),
            Look::Nowhere | Look::Stale => Err(Error::VmUnknown {
                target: list_target(self.name(), vmid),
            }),
        }
    }
}

/// The cluster's list, asked because of a VM.
fn list_target(cluster: &str, vmid: VmId) -> Box<Target> {
    let mut target = Route::get("/cluster/resources").target(cluster);
    target.vmid = Some(vmid);
    target
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("cluster", &self.name())
            .finish_non_exhaustive()
    }
}

/// Where a call about a VM was answered.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The node that had the VM.
    pub(crate) node: NodeName,
    /// The endpoint that was called.
    pub(crate) endpoint: Arc<Endpoint>,
}

/// One VM of a cluster, wherever it is just now.
///
/// The node is looked up for each call. When it says that it has no such VM, it has done nothing yet: the
/// VM is looked up anew, and if it is found elsewhere the call is made there, a write too.
#[derive(Debug, Clone)]
pub struct Vm {
    client: Client,
    vmid: VmId,
}

impl Vm {
    /// The VM's number.
    pub fn vmid(&self) -> VmId {
        self.vmid
    }

    /// The client it belongs to.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The node it is on now.
    ///
    /// # Errors
    /// As [`Client::node_of`].
    pub async fn node(&self) -> Result<NodeName, Error> {
        self.client.node_of(self.vmid).await
    }

    /// Calls `/nodes/{node}/qemu/{vmid}` and what `path` adds, on the node that has the VM.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        class: Class,
        method: Method,
        path: impl Fn(Route) -> Route,
        params: Params,
    ) -> Result<T, Error> {
        let (data, _) = self.call_somewhere(class, method, path, params).await?;
        Ok(data)
    }

    /// A write that has nothing to answer.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: impl Fn(Route) -> Route,
        params: Params,
    ) -> Result<(), Error> {
        self.call::<IgnoredAny>(Class::Write, method, path, params)
            .await?;
        Ok(())
    }

    /// As [`Self::call`], and tells where it was answered.
    pub(crate) async fn call_somewhere<T: DeserializeOwned>(
        &self,
        class: Class,
        method: Method,
        path: impl Fn(Route) -> Route,
        params: Params,
    ) -> Result<(T, Place), Error> {
        let began = Instant::now();
        let node = match self.node().await {
            // Whoever removes takes "gone" for success: that needs a list which is not older than the call.
            Err(error) if error.is_vm_missing() && method == Method::DELETE => {
                self.client.resolve(self.vmid, Some(began)).await?
            }
            node => node?,
        };
        let sent = Instant::now();
        let result = self.call_on(class, &method, &node, &path, &params).await;
        match result {
            Err(error) if error.is_vm_missing() => {
                let elsewhere = self.client.resolve(self.vmid, Some(sent)).await?;
                if elsewhere == node {
                    // The cluster's list and the node disagree, as in the middle of a migration.
                    return Err(error);
                }
                self.call_on(class, &method, &elsewhere, &path, &params).await
            }
            other => other,
        }
    }

    async fn call_on<T: DeserializeOwned>(
        &self,
        class: Class,
        method: &Method,
        node: &NodeName,
        path: &impl Fn(Route) -> Route,
        params: &Params,
    ) -> Result<(T, Place), Error> {
        let route = path(Route::vm(method.clone(), node, self.vmid));
        let (answer, endpoint) = self.client.send(class, &route, params).await?;
        let node = node.clone();
        Ok((answer.data, Place { node, endpoint }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use url::Url;

    use super::*;
    use crate::cluster::{ApiToken, Trust};
    use crate::observe::NoObserver;
    use crate::secret::Secret;

    /// An endpoint that can reach no node.
    async fn cut_off() -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer =
                    b"HTTP/1.1 595 No route to host\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
                // What it was asked does not matter; it comes in one piece.
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer).await;
            }
        });
        format!("http://{address}").parse().unwrap()
    }

    async fn nowhere() -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap()
    }

    #[tokio::test]
    async fn a_vm_is_looked_up_anew_soon_after_any_attempt_found_its_node_unreachable() {
        let endpoints = vec![cut_off().await, nowhere().await];
        let token = ApiToken::new("panel@pve!test", Secret::new("aa-bb")).unwrap();
        let config = ClusterConfig::new("prod", endpoints, token, Trust::PlainHttpForTests);
        let client = Client::new(config, Arc::new(NoObserver)).unwrap();
        let (vmid, node) = (VmId::new(100).unwrap(), NodeName::new("pve2").unwrap());
        let asked = Instant::now();
        client.nodes().renew([(vmid, node.clone())].into_iter(), asked);
        let later = asked + Duration::from_secs(6);
        assert_eq!(client.nodes().look(vmid, None, later), Look::On(node));
        let error = client.vm(vmid).status().await.unwrap_err();
        assert!(matches!(error, Error::NodeUnreachable { .. }), "{error}");
        assert_eq!(client.nodes().look(vmid, None, later), Look::Stale);
    }
}
