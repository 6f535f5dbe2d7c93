//! Signing in and out.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::error::{Failure, PageError};
use super::state::App;
use super::visit::{SESSION, Signed, Visitor};
use crate::auth::{AccountId, PasswordError, SessionError, Verdict};
use crate::domain::{ActivityEntry, Actor, Customer, CustomerId, Outcome};
use crate::mail::EmailAddress;
use crate::secret::Secret;
use crate::view::login::LoginPage;
use crate::view::urls::Url;

/// One sentence for every cause: it does not tell which accounts exist.
const WRONG: &str = "E-mail address or password is wrong.";

/// The query of the form.
#[derive(Debug, Deserialize)]
pub(super) struct Then {
    next: Option<String>,
}

/// What is sent.
#[derive(Deserialize)]
pub(super) struct Credentials {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: Secret,
    next: Option<String>,
}

/// The form.
pub(super) async fn form(
    State(app): State<App>,
    visitor: Visitor,
    signed: Result<Signed, PageError>,
    Query(then): Query<Then>,
) -> Result<Response, Failure> {
    let next = then.next.as_deref().and_then(Url::from_client);
    if signed.is_ok() {
        return Ok(Redirect::to(next.unwrap_or_else(Url::services).as_str()).into_response());
    }
    show(&app, &visitor, StatusCode::OK, None, String::new(), next)
}

/// The attempt.
pub(super) async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Form(sent): Form<Credentials>,
) -> Result<Response, Failure> {
    let next = sent.next.as_deref().and_then(Url::from_client);
    let again = |status, text: &str| {
        show(
            &app,
            &visitor,
            status,
            Some(text.to_owned()),
            sent.email.chars().take(254).collect(),
            next.clone(),
        )
    };
    let Ok(email) = EmailAddress::parse(&sent.email) else {
        return again(StatusCode::UNAUTHORIZED, WRONG);
    };
    let now = app.parts.clock.now();
    if let Err(wait) = app.login.attempt(&email, visitor.address, now) {
        tracing::warn!(address = %visitor.address, "too many attempts to sign in");
        let mut response = again(
            StatusCode::TOO_MANY_REQUESTS,
            &format!("Too many attempts. Try again in {} seconds.", wait.seconds()),
        )?;
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(wait.seconds()));
        return Ok(response);
    }
    let customer = match email.folded().parse() {
        Ok(email) => match app.records.customer_by_email(&email).await {
            Ok(customer) => Some(customer.value),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        },
        Err(_) => None,
    };
    // The epoch is read before the password is looked at: a change of the password in between voids the attempt.
    let epoch = match customer.as_ref().and_then(|customer| account(&customer.id)) {
        Some(account) => Some(app.sessions.epoch(&account).await?),
        None => None,
    };
    let hash = customer
        .as_ref()
        .and_then(|customer| customer.password_hash.clone());
    let verdict = match app.passwords.verify(&sent.password, hash.as_ref()).await {
        Ok(verdict) => verdict,
        Err(PasswordError::Busy) => return Err(PageError::too_many(5).into()),
        Err(error) => return Err(PageError::internal(&error.to_string()).into()),
    };
    let (Some(customer), Some(epoch), Verdict::Right { outdated }) = (customer, epoch, verdict) else {
        return again(StatusCode::UNAUTHORIZED, WRONG);
    };
    if customer.disabled {
        return again(StatusCode::UNAUTHORIZED, WRONG);
    }
    app.login.succeeded(&email, visitor.address, now);
    if outdated {
        rehash(&app, &customer.id, &sent.password).await;
    }
    let before = visitor.token(&app);
    let (token, _) = match app
        .sessions
        .start(&epoch, before.as_ref(), visitor.client())
        .await
    {
        Ok(started) => started,
        Err(SessionError::Changed) => return again(StatusCode::UNAUTHORIZED, WRONG),
        Err(SessionError::Store(error)) => return Err(error.into()),
    };
    note(&app, &visitor, &customer, "account.sign-in").await;
    let cookie = format!(
        "{}={}{}",
        app.site.cookie(SESSION),
        token.encode().as_str(),
        app.site.cookie_attributes()
    );
    with_cookie(
        Redirect::to(next.unwrap_or_else(Url::services).as_str()).into_response(),
        &cookie,
    )
}

/// Ends the session.
pub(super) async fn leave(
    State(app): State<App>,
    visitor: Visitor,
    signed: Result<Signed, PageError>,
) -> Result<Response, Failure> {
    if let Ok(signed) = signed {
        app.sessions
            .revoke(&signed.session.account, &signed.session.id)
            .await?;
        note(&app, &visitor, &signed.customer, "account.sign-out").await;
    }
    let cookie = format!(
        "{}=; Max-Age=0{}",
        app.site.cookie(SESSION),
        app.site.cookie_attributes()
    );
    with_cookie(Redirect::to(Url::login().as_str()).into_response(), &cookie)
}

/// The account of a customer, as sessions know it.
pub(super) fn account(id: &CustomerId) -> Option<AccountId> {
    AccountId::parse(id.as_str()).ok()
}

fn show(
    app: &App,
    visitor: &Visitor,
    status: StatusCode,
    error: Option<String>,
    email: String,
    next: Option<Url>,
) -> Result<Response, Failure> {
    let html = app.view.render(&LoginPage {
        page: visitor.page(app),
        error,
        email,
        next,
    })?;
    Ok((status, Html(html)).into_response())
}

fn with_cookie(mut response: Response, cookie: &str) -> Result<Response, Failure> {
    let value =
        HeaderValue::from_str(cookie).map_err(|_| PageError::internal("a cookie cannot be a header"))?;
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(response)
}

/// The cost was raised since the hash was made.
async fn rehash(app: &App, id: &CustomerId, password: &Secret) {
    match app.passwords.hash(password, &*app.entropy).await {
        Ok(hash) => {
            let change = |customer: &mut Customer| customer.password_hash = Some(hash.clone());
            if let Err(error) = app.records.change_customer(id, change).await {
                tracing::warn!(%error, "a password hash could not be renewed");
            }
        }
        Err(error) => tracing::warn!(%error, "a password hash could not be renewed"),
    }
}

/// Notes something about the account.
pub(super) async fn note(app: &App, visitor: &Visitor, customer: &Customer, action: &str) {
    let Ok(action) = action.parse() else { return };
    let entry = ActivityEntry {
        at: app.parts.clock.now(),
        service: None,
        actor: Actor::Customer(customer.id.clone()),
        ip: Some(visitor.address),
        action,
        target: None,
        outcome: Outcome::Done,
        text: String::new(),
    };
    if let Err(error) = app.records.log(&entry).await {
        tracing::error!(%error, "an entry of the activity log was lost");
    }
}
