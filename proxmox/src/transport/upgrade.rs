//! Opening a WebSocket.

use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake;

use super::Transport;
use super::budget::Budget;
use super::endpoints::Endpoint;
use crate::error::Error;
use crate::route::{Params, Route};

/// How long opening may take at most. The port behind it waits for ten seconds, and for nobody after that.
const HANDSHAKE: Duration = Duration::from_secs(8);

impl Transport {
    /// Opens a WebSocket at one endpoint and no other, within eight seconds. Never repeated: what it connects to takes
    /// one connection.
    pub(crate) async fn upgrade(
        &self,
        endpoint: &Endpoint,
        route: &Route,
        params: &Params,
    ) -> Result<reqwest::Upgraded, Error> {
        let budget = Budget::new(self.timeouts.read.min(HANDSHAKE), Instant::now());
        // The endpoint answers this itself, whatever node is in the path.
        let turn = timeout(budget.to_first(Instant::now()), endpoint.turns.wait(false)).await;
        let Ok(Some(_turn)) = turn else {
            return Err(self.busy(route, &budget));
        };
        let exchange = self.switch_protocols(endpoint, route, params);
        self.watched(budget.left(Instant::now()), route, exchange).await
    }

    async fn switch_protocols(
        &self,
        endpoint: &Endpoint,
        route: &Route,
        params: &Params,
    ) -> Result<reqwest::Upgraded, Error> {
        let key = handshake::client::generate_key();
        let request = self
            .request(endpoint, route, params)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .header(SEC_WEBSOCKET_PROTOCOL, "binary");
        let response = request.send().await.map_err(|e| self.fault(route, e))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            if response.status().is_success() {
                let problem = "it is no WebSocket".to_owned();
                let target = route.target(&self.cluster);
                return Err(Error::Malformed { target, problem });
            }
            return Err(self.refusal(response, route, params).await);
        }
        let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|value| *value != handshake::derive_accept_key(key.as_bytes())) {
            let problem = "its WebSocket handshake is for somebody else".to_owned();
            let target = route.target(&self.cluster);
            return Err(Error::Malformed { target, problem });
        }
        response.upgrade().await.map_err(|e| self.fault(route, e))
    }
}
