//! The pages of plugins: who may open them, the call, and what its answer becomes.

use std::time::Duration;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use portico_runtime::PluginError;
use portico_runtime::bindings::CapabilityError;
use portico_runtime::bindings::guest::{self, FlashTone, Method, PageResponse, Request};
use portico_runtime::markup::Policy;
use portico_runtime::template::RenderContext;

use super::error::{Failure, PageError};
use super::flash;
use super::frame::Room;
use super::state::App;
use super::visit::Signed;
use crate::capability::Origin;
use crate::domain::{ActivityEntry, Actor, Outcome};
use crate::plugins::Installed;
use crate::plugins::access::{Access, OVERVIEW};
use crate::plugins::call::{Subject, build};
use crate::plugins::components::chain;
use crate::view::CheckedHtml;
use crate::view::frame::FramePage;
use crate::view::page::Tone;
use crate::view::urls::Url;

type Pairs = Vec<(String, String)>;

/// A service leads to its overview.
pub(super) async fn first(
    State(app): State<App>,
    signed: Signed,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let room = Room::open(&app, &signed, &id).await?;
    Ok(Redirect::to(Url::plugin(&room.service.id, OVERVIEW).as_str()).into_response())
}

/// The first page of a plugin.
pub(super) async fn root_get(
    State(app): State<App>,
    signed: Signed,
    Path((id, plugin)): Path<(String, String)>,
    Query(query): Query<Pairs>,
) -> Result<Response, Failure> {
    let asked = Asked {
        id,
        plugin,
        path: String::new(),
        method: Method::Get,
        query,
        form: Vec::new(),
    };
    asked.answer(&app, &signed).await
}

/// An action at the plugin's root.
pub(super) async fn root_post(
    State(app): State<App>,
    signed: Signed,
    Path((id, plugin)): Path<(String, String)>,
    Query(query): Query<Pairs>,
    form: Result<Form<Pairs>, FormRejection>,
) -> Result<Response, Failure> {
    let asked = Asked {
        id,
        plugin,
        path: String::new(),
        method: Method::Post,
        query,
        form: read(form)?,
    };
    asked.answer(&app, &signed).await
}

/// A page or fragment of a plugin.
pub(super) async fn path_get(
    State(app): State<App>,
    signed: Signed,
    Path((id, plugin, path)): Path<(String, String, String)>,
    Query(query): Query<Pairs>,
) -> Result<Response, Failure> {
    Asked {
        id,
        plugin,
        path,
        method: Method::Get,
        query,
        form: Vec::new(),
    }
    .answer(&app, &signed)
    .await
}

/// An action of a plugin.
pub(super) async fn path_post(
    State(app): State<App>,
    signed: Signed,
    Path((id, plugin, path)): Path<(String, String, String)>,
    Query(query): Query<Pairs>,
    form: Result<Form<Pairs>, FormRejection>,
) -> Result<Response, Failure> {
    Asked {
        id,
        plugin,
        path,
        method: Method::Post,
        query,
        form: read(form)?,
    }
    .answer(&app, &signed)
    .await
}

/// A button sends no body and no type, which is an empty form.
fn read(form: Result<Form<Pairs>, FormRejection>) -> Result<Pairs, PageError> {
    match form {
        Ok(Form(pairs)) => Ok(pairs),
        Err(FormRejection::InvalidFormContentType(_)) => Ok(Vec::new()),
        Err(_) => Err(PageError::Refused(
            "The form could not be read. Go back and try again.".to_owned(),
        )),
    }
}

struct Asked {
    id: String,
    plugin: String,
    path: String,
    method: Method,
    query: Pairs,
    form: Pairs,
}

impl Asked {
    async fn answer(self, app: &App, signed: &Signed) -> Result<Response, Failure> {
        let room = Room::open(app, signed, &self.id).await?;
        let fail = |error| room.failure(app, signed, &self.plugin, error);
        let installed = match self.plugin.parse().ok().map(|id| (room.set.plugins.get(&id), id)) {
            Some((Some(installed), _)) => installed,
            Some((None, id)) if room.set.broken.contains_key(&id) => return Err(fail(self.wrong())),
            _ => return Err(fail(PageError::NotFound)),
        };
        if room.service.suspended {
            return Err(fail(PageError::Suspended));
        }
        let back = Url::plugin(&room.service.id, OVERVIEW);
        if !Access::of(&room.product, installed).enabled {
            self.note_denied(app, signed, &room).await;
            return Err(fail(PageError::Denied { back }));
        }
        let subject = Subject {
            service: room.service.clone(),
            product: room.product.clone(),
            customer: signed.customer.clone(),
        };
        let origin = Origin::Page {
            address: Some(signed.visitor.address),
        };
        let call = build(
            &app.parts,
            &subject,
            installed,
            &signed.visitor.request_id,
            origin,
        );
        let request = Request {
            method: self.method,
            path: self.path.clone(),
            query: self.query.clone(),
            form: self.form.clone(),
        };
        // The frame is made while the plugin works: both mostly wait for the same answer of Proxmox.
        let called = app.plugins.runtime().handle(&installed.plugin, call, request);
        let framed = async {
            if self.method == Method::Get && !signed.visitor.wants_fragment() {
                Some(room.head(app, &self.plugin).await)
            } else {
                None
            }
        };
        let (called, framed) = tokio::join!(called, framed);
        let response = match called {
            Ok(response) => response,
            Err(error) => {
                let error = self.failed(installed, &error, back);
                if matches!(error, PageError::Denied { .. }) {
                    self.note_denied(app, signed, &room).await;
                }
                return Err(fail(error));
            }
        };
        match response {
            guest::Response::Redirect(to) => Ok(self.redirect(app, &room, &to)),
            guest::Response::Json(json) => Ok((
                [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                json,
            )
                .into_response()),
            guest::Response::Fragment(page) => {
                let html = self.render(signed, &room, installed, &page).map_err(fail)?;
                Ok((status(page.status), Html(html)).into_response())
            }
            guest::Response::Page(page) => {
                let html = self.render(signed, &room, installed, &page).map_err(fail)?;
                let head = match framed {
                    Some(head) => head,
                    None => room.head(app, &self.plugin).await,
                };
                let title = page
                    .title
                    .unwrap_or_else(|| installed.plugin.description().title.clone());
                let context = FramePage {
                    page: signed.page(app),
                    title,
                    service: room.nav(&self.plugin),
                    head: head.map_err(fail)?,
                    content: CheckedHtml::assume_checked(html),
                };
                let body = app.view.render(&context).map_err(|error| fail(error.into()))?;
                let mut response = (status(page.status), Html(body)).into_response();
                if let Ok(value) = HeaderValue::from_str(&flash::clear(&app.site)) {
                    response.headers_mut().append(header::SET_COOKIE, value);
                }
                Ok(response)
            }
        }
    }

    /// Renders the plugin's template and passes it through the markup policy.
    fn render(
        &self,
        signed: &Signed,
        room: &Room,
        installed: &Installed,
        page: &PageResponse,
    ) -> Result<String, PageError> {
        let customer = &signed.customer;
        let context = RenderContext::new(customer.time_zone.as_str(), customer.locale.as_str());
        let policy = Policy::new(format!("{}/", Url::plugin(&room.service.id, &self.plugin)));
        let templates = installed.plugin.templates();
        match templates.render_page(&page.view.template, &page.view.data, &context, &policy) {
            Ok(rendered) => {
                if !rendered.violations.is_empty() {
                    tracing::warn!(
                        plugin = self.plugin, template = page.view.template, violations = ?rendered.violations,
                        "the markup policy left out parts of a plugin's page"
                    );
                }
                Ok(rendered.html)
            }
            Err(error) => {
                tracing::error!(
                    plugin = self.plugin, version = %installed.plugin.version(), digest = %installed.plugin.digest(),
                    template = page.view.template, error = %chain(&error), "a plugin's template failed"
                );
                Err(self.wrong())
            }
        }
    }

    fn redirect(&self, app: &App, room: &Room, to: &guest::Redirection) -> Response {
        let (path, query) = to
            .path
            .split_once('?')
            .map_or((to.path.as_str(), None), |(path, query)| (path, Some(query)));
        let plain = Url::plugin_path(&room.service.id, &self.plugin, path);
        let url = query
            .and_then(|query| Url::from_client(&format!("{plain}?{query}")))
            .unwrap_or(plain);
        let mut response = Redirect::to(url.as_str()).into_response();
        if let Some(message) = &to.flash {
            let tone = match message.tone {
                FlashTone::Success => Tone::Success,
                FlashTone::Info => Tone::Info,
                FlashTone::Warning => Tone::Warning,
                FlashTone::Danger => Tone::Danger,
            };
            if let Ok(value) = HeaderValue::from_str(&flash::carry(&app.site, tone, &message.text)) {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
        }
        response
    }

    /// Something went wrong, and the page may be asked for again if asking changes nothing.
    fn wrong(&self) -> PageError {
        let retry = (self.method == Method::Get).then(|| self.url());
        PageError::Wrong { retry, behind: true }
    }

    fn url(&self) -> Url {
        if self.method == Method::Get {
            Url::plugin_path(&self.id, &self.plugin, &self.path)
        } else {
            Url::plugin(&self.id, &self.plugin)
        }
    }

    /// What a plugin's failure is for the customer; the provider's log gets all of it.
    fn failed(&self, installed: &Installed, error: &PluginError, back: Url) -> PageError {
        let seconds = |after: Duration| after.as_secs().max(1);
        let page = match error {
            PluginError::Denied(_) | PluginError::Guest(CapabilityError::Denied(_)) => {
                PageError::Denied { back }
            }
            PluginError::Guest(CapabilityError::NotFound) => PageError::NotFound,
            PluginError::Guest(CapabilityError::Busy(operation)) => PageError::Busy {
                operation: operation.clone(),
                retry: self.url(),
            },
            PluginError::Guest(CapabilityError::Invalid(field)) => {
                PageError::Refused(format!("{}.", field.message))
            }
            PluginError::Guest(CapabilityError::Quota(text)) => PageError::Refused(format!("{text}.")),
            PluginError::Guest(CapabilityError::Conflict) => {
                PageError::Refused("It was changed elsewhere meanwhile. Open the page again.".to_owned())
            }
            PluginError::Overloaded { retry_after, .. } | PluginError::Suspended { retry_after } => {
                PageError::Overloaded {
                    retry_after: seconds(*retry_after),
                    retry: self.url(),
                }
            }
            _ => self.wrong(),
        };
        let plugin = &installed.plugin;
        if matches!(page, PageError::Wrong { .. }) {
            let backtrace = if let PluginError::Trap { backtrace, .. } = error {
                backtrace.as_str()
            } else {
                ""
            };
            tracing::error!(
                plugin = plugin.id(), version = %plugin.version(), digest = %plugin.digest(), path = self.path,
                outcome = error.outcome(), error = %chain(error), backtrace, "a plugin's page failed"
            );
        } else {
            tracing::info!(plugin = plugin.id(), path = self.path, outcome = error.outcome(), %error, "a page was refused");
        }
        page
    }

    /// A refused action goes into the activity log; a refused look does not.
    async fn note_denied(&self, app: &App, signed: &Signed, room: &Room) {
        if self.method == Method::Get {
            return;
        }
        let verb = self
            .path
            .split('/')
            .next()
            .filter(|verb| !verb.is_empty())
            .unwrap_or("open");
        let Ok(action) = format!("{}.{verb}", self.plugin).parse() else {
            return;
        };
        let entry = ActivityEntry {
            at: app.parts.clock.now(),
            service: Some(room.service.id),
            actor: Actor::Customer(signed.customer.id.clone()),
            ip: Some(signed.visitor.address),
            action,
            target: None,
            outcome: Outcome::Denied,
            text: "Not included in your plan.".to_owned(),
        };
        if let Err(error) = app.records.log(&entry).await {
            tracing::error!(%error, "a refused action could not be noted");
        }
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::OK)
}
