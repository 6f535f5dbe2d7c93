//! The customer's own settings: time zone, language, password, sessions.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::error::{Failure, PageError};
use super::flash;
use super::login::{account, note};
use super::state::App;
use super::visit::Signed;
use crate::auth::{self, PasswordError, Session, Verdict, check_password};
use crate::domain::{Customer, Locale, TimeZoneName};
use crate::mail::{EmailAddress, Mail};
use crate::secret::Secret;
use crate::view::mail::PasswordChanged;
use crate::view::page::{Section, Tone};
use crate::view::profile::{Choice, PasswordForm, ProfilePage, SessionRow, Settings};
use crate::view::urls::Url;

/// What is wrong with what was sent, by field.
#[derive(Default)]
struct Complaints {
    time_zone: Option<String>,
    locale: Option<String>,
    current: Option<String>,
    new: Option<String>,
    repeat: Option<String>,
}

/// The settings as they are sent.
#[derive(Debug, Deserialize)]
pub(super) struct Sent {
    #[serde(default)]
    time_zone: String,
    #[serde(default)]
    locale: String,
}

/// A change of the password as it is sent.
#[derive(Deserialize)]
pub(super) struct NewPassword {
    #[serde(default)]
    current: Secret,
    #[serde(default)]
    new: Secret,
    #[serde(default)]
    repeat: Secret,
}

/// The page.
pub(super) async fn page(State(app): State<App>, signed: Signed) -> Result<Response, Failure> {
    let mut response = show(&app, &signed, StatusCode::OK, Complaints::default(), None).await?;
    if let Ok(value) = HeaderValue::from_str(&flash::clear(&app.site)) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}

/// Saves time zone and language.
pub(super) async fn save(
    State(app): State<App>,
    signed: Signed,
    Form(sent): Form<Sent>,
) -> Result<Response, Failure> {
    let time_zone = sent.time_zone.trim().parse::<TimeZoneName>();
    let locale = sent.locale.parse::<Locale>();
    let (Ok(time_zone), Ok(locale)) = (&time_zone, &locale) else {
        let complaints = Complaints {
            time_zone: time_zone
                .is_err()
                .then(|| "There is no such time zone.".to_owned()),
            locale: locale.is_err().then(|| "There is no such language.".to_owned()),
            ..Complaints::default()
        };
        return show(
            &app,
            &signed,
            StatusCode::UNPROCESSABLE_ENTITY,
            complaints,
            Some(sent),
        )
        .await;
    };
    let change = |customer: &mut Customer| {
        customer.time_zone = time_zone.clone();
        customer.locale = locale.clone();
    };
    app.records.change_customer(&signed.customer.id, change).await?;
    Ok(done(&app, "Your settings are saved."))
}

/// Changes the password; all other sessions end with it.
pub(super) async fn password(
    State(app): State<App>,
    signed: Signed,
    Form(sent): Form<NewPassword>,
) -> Result<Response, Failure> {
    let customer = &signed.customer;
    let mut complaints = Complaints::default();
    let email = EmailAddress::parse(customer.email.as_str()).ok();
    let now = app.parts.clock.now();
    if let Some(email) = &email
        && let Err(wait) = app.login.attempt(email, signed.visitor.address, now)
    {
        return Err(PageError::too_many(wait.seconds()).into());
    }
    let stored = customer.password_hash.clone();
    match app.passwords.verify(&sent.current, stored.as_ref()).await {
        Ok(Verdict::Right { .. }) => {
            if let Some(email) = &email {
                app.login.succeeded(email, signed.visitor.address, now);
            }
        }
        Ok(Verdict::Wrong) => complaints.current = Some("This is not your current password.".to_owned()),
        Err(PasswordError::Busy) => return Err(PageError::too_many(5).into()),
        Err(error) => return Err(PageError::internal(&error.to_string()).into()),
    }
    if let Err(error) = check_password(&sent.new, email.as_ref()) {
        let mut text = error.to_string();
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        complaints.new = Some(format!("{text}."));
    } else if !sent.new.matches(sent.repeat.expose()) {
        complaints.repeat = Some("The two do not match.".to_owned());
    }
    if complaints.current.is_some() || complaints.new.is_some() || complaints.repeat.is_some() {
        return show(&app, &signed, StatusCode::UNPROCESSABLE_ENTITY, complaints, None).await;
    }
    let hash = match app.passwords.hash(&sent.new, &*app.entropy).await {
        Ok(hash) => hash,
        Err(PasswordError::Busy) => return Err(PageError::too_many(5).into()),
        Err(error) => return Err(PageError::internal(&error.to_string()).into()),
    };
    let change = |customer: &mut Customer| customer.password_hash = Some(hash.clone());
    app.records.change_customer(&customer.id, change).await?;
    if let Some(account) = account(&customer.id) {
        app.sessions
            .revoke_all(&account, Some(&signed.session.id))
            .await?;
    }
    note(&app, &signed.visitor, customer, "account.password-change").await;
    tell(&app, &signed).await;
    Ok(done(
        &app,
        "Your password is changed. All other sessions have ended.",
    ))
}

/// Ends one session.
pub(super) async fn revoke(
    State(app): State<App>,
    signed: Signed,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let missing = || signed.failure(&app, PageError::NotFound);
    let id = id.parse().map_err(|_| missing())?;
    if !app.sessions.revoke(&signed.session.account, &id).await? {
        return Err(missing());
    }
    note(&app, &signed.visitor, &signed.customer, "account.session-revoke").await;
    Ok(done(&app, "The session has ended."))
}

/// Ends all other sessions.
pub(super) async fn revoke_others(State(app): State<App>, signed: Signed) -> Result<Response, Failure> {
    app.sessions
        .revoke_all(&signed.session.account, Some(&signed.session.id))
        .await?;
    note(&app, &signed.visitor, &signed.customer, "account.session-revoke").await;
    Ok(done(&app, "All other sessions have ended."))
}

fn done(app: &App, text: &str) -> Response {
    let mut response = Redirect::to(Url::profile().as_str()).into_response();
    if let Ok(value) = HeaderValue::from_str(&flash::carry(&app.site, Tone::Success, text)) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

async fn show(
    app: &App,
    signed: &Signed,
    status: StatusCode,
    complaints: Complaints,
    sent: Option<Sent>,
) -> Result<Response, Failure> {
    let customer = &signed.customer;
    let mut sessions = app.sessions.list(&signed.session.account).await?;
    sessions.sort_by_key(|session| session.id != signed.session.id);
    let sent = sent.unwrap_or_else(|| Sent {
        time_zone: customer.time_zone.as_str().to_owned(),
        locale: customer.locale.as_str().to_owned(),
    });
    let mut page = signed.page(app);
    page.section = Section::Profile;
    let context = ProfilePage {
        page,
        settings: Settings {
            time_zone: sent.time_zone,
            time_zones: jiff::tz::db().available().map(|name| name.to_string()).collect(),
            time_zone_error: complaints.time_zone,
            locale: sent.locale,
            locales: vec![Choice {
                value: "en".to_owned(),
                label: "English".to_owned(),
            }],
            locale_error: complaints.locale,
        },
        password: PasswordForm {
            min_length: auth::MIN_CHARACTERS,
            current_error: complaints.current,
            new_error: complaints.new,
            repeat_error: complaints.repeat,
        },
        sessions: sessions.iter().map(|session| row(signed, session)).collect(),
    };
    Ok((status, Html(app.view.render(&context)?)).into_response())
}

fn row(signed: &Signed, session: &Session) -> SessionRow {
    SessionRow {
        agent: if session.user_agent.is_empty() {
            "Unknown".to_owned()
        } else {
            browser(&session.user_agent)
        },
        address: session.address.to_string(),
        created_at: session.created.as_second(),
        seen_at: session.seen.as_second(),
        current: session.id == signed.session.id,
        revoke_href: Url::revoke_session(&session.id),
    }
}

/// Browser and system in words, as far as the usual ones go.
fn browser(agent: &str) -> String {
    let first = |names: &[(&'static str, &'static str)]| {
        names
            .iter()
            .find(|(mark, _)| agent.contains(mark))
            .map(|(_, name)| *name)
    };
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => agent.chars().take(60).collect(),
    }
}

/// Tells the customer by mail: it may not have been him.
async fn tell(app: &App, signed: &Signed) {
    let now = app.parts.clock.now();
    let context = PasswordChanged {
        time_zone: signed.customer.time_zone.as_str().to_owned(),
        product_name: app.product_name.clone(),
        panel_url: app.site.origin().to_owned(),
        name: signed.customer.name.clone(),
        address: signed.visitor.address.to_string(),
        changed_at: now.as_second(),
    };
    let Ok(to) = EmailAddress::parse(signed.customer.email.as_str()) else {
        return;
    };
    let rendered = match app.view.mail(&context) {
        Ok(rendered) => rendered,
        Err(error) => return tracing::error!(%error, "a mail could not be rendered"),
    };
    let id = format!("password/{}/{}", signed.customer.id, now.as_millisecond());
    let mail = Mail {
        id,
        to,
        subject: rendered.subject,
        text: rendered.body,
        html: None,
    };
    if let Err(error) = app.parts.outbox.send(&mail).await {
        tracing::error!(%error, "a mail could not be queued");
    }
}
