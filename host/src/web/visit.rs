//! Who asks: the visitor, and the customer of a session.

use std::net::{IpAddr, SocketAddr};

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use axum::serve::IncomingStream;

use super::error::{Failure, PageError};
use super::flash;
use super::guard::RequestId;
use super::site::cookie;
use super::state::App;
use tokio::net::TcpListener;

use crate::auth::{Client, Session};
use crate::domain::Customer;
use crate::secret::RandomId;
use crate::view::page::{Page, SignedIn, Theme};
use crate::view::urls::Url;

/// The address of the other side of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// The cookie of the session.
pub(super) const SESSION: &str = "portico_session";

/// Anybody.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// His address, as far as trusted proxies tell.
    pub address: IpAddr,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The request's id.
    pub request_id: String,
}

impl Visitor {
    /// The theme he chose.
    pub(super) fn theme(&self) -> Theme {
        Theme::from_cookie(cookie(&self.headers, Theme::COOKIE))
    }

    /// Whether a script of ours asks for a part of a page.
    pub(super) fn wants_fragment(&self) -> bool {
        wants_fragment(&self.headers)
    }

    /// The session id that the browser sent, whatever it is worth.
    pub(super) fn token(&self, app: &App) -> Option<RandomId> {
        cookie(&self.headers, &app.site.cookie(SESSION)).and_then(RandomId::parse)
    }

    /// The browser, for the list of sessions.
    pub(super) fn client(&self) -> Client<'_> {
        let user_agent = self
            .headers
            .get(USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Client {
            address: self.address,
            user_agent,
        }
    }

    /// The page of a visitor.
    pub(super) fn page(&self, app: &App) -> Page {
        Page {
            product_name: app.product_name.clone(),
            ..Page::anonymous(self.theme())
        }
    }
}

/// Whether a script of ours asks for a part of a page.
pub(super) fn wants_fragment(headers: &HeaderMap) -> bool {
    headers.contains_key("hx-request")
}

impl FromRequestParts<App> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>().map(|info| info.0.0);
        let Some(peer) = peer else {
            return Err(PageError::internal("the server did not say who is connected"));
        };
        let request_id = parts
            .extensions
            .get::<RequestId>()
            .map(|id| id.0.clone())
            .unwrap_or_default();
        let address = app.site.client(peer, &parts.headers);
        Ok(Self {
            address,
            headers: parts.headers.clone(),
            request_id,
        })
    }
}

/// A customer who is signed in.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Who.
    pub customer: Customer,
    /// By which session.
    pub session: Session,
    /// From where.
    pub visitor: Visitor,
}

impl Signed {
    /// The page of a customer, with the message that the action before left.
    pub fn page(&self, app: &App) -> Page {
        let user = SignedIn::new(self.customer.name.as_str(), self.customer.email.as_str());
        let flash = flash::take(&app.site, &self.visitor.headers)
            .into_iter()
            .collect();
        let mut page = Page::signed_in(
            user,
            self.visitor.theme(),
            self.customer.time_zone.as_str(),
            flash,
        );
        page.product_name.clone_from(&app.product_name);
        page
    }

    /// An error on a page of this customer.
    pub fn failure(&self, app: &App, error: PageError) -> Failure {
        Failure {
            error,
            page: Some(Box::new(self.page(app))),
            service: None,
        }
    }
}

/// Who asks, as it was found out before the handler ran.
#[derive(Debug, Clone)]
pub(super) struct Resolved(pub(super) Result<Signed, PageError>);

impl FromRequestParts<App> for Signed {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        if let Some(Resolved(who)) = parts.extensions.get::<Resolved>() {
            return who.clone();
        }
        let visitor = Visitor::from_request_parts(parts, app).await?;
        let not_signed_in = || PageError::NotSignedIn {
            next: next(&parts.method, &parts.uri),
        };
        let token = visitor.token(app).ok_or_else(not_signed_in)?;
        let session = app
            .sessions
            .find(&token, visitor.client())
            .await
            .map_err(PageError::from)?;
        let session = session.ok_or_else(not_signed_in)?;
        let id = session.account.as_str().parse().map_err(|_| not_signed_in())?;
        let customer = match app.records.customer(&id).await {
            Ok(customer) => customer.value,
            Err(error) if error.is_not_found() => return Err(not_signed_in()),
            Err(error) => return Err(error.into()),
        };
        if customer.disabled {
            return Err(not_signed_in());
        }
        Ok(Self {
            customer,
            session,
            visitor,
        })
    }
}

/// Where to come back to after the sign-in: only what a GET may repeat.
fn next(method: &Method, uri: &Uri) -> Option<Url> {
    if method == Method::GET {
        Url::from_client(uri.path_and_query()?.as_str())
    } else {
        None
    }
}
