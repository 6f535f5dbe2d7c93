//! A browser without scripts: cookies, `Origin` on what it sends, redirects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};

use crate::page::Page;
use crate::setup::PASSWORD;

/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// A browser. Clones share its cookies.
#[derive(Debug, Clone)]
pub struct Browser {
    http: Client,
    origin: String,
    cookies: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Browser {
    /// A browser that knows nothing yet, for the panel of this origin.
    ///
    /// # Errors
    /// When the system gives no HTTP client.
    pub fn new(origin: &str) -> anyhow::Result<Self> {
        let http = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()
            .context("there is no HTTP client")?;
        Ok(Self {
            http,
            origin: origin.to_owned(),
            cookies: Arc::default(),
        })
    }

    /// Signs a customer of the tests in.
    ///
    /// # Errors
    /// When the panel does not let him in.
    pub async fn sign_in(&self, email: &str) -> anyhow::Result<Page> {
        let page = self.try_sign_in(email, PASSWORD).await?;
        if page.status != 303 {
            bail!("`{email}` was not let in ({}): {}", page.status, page.text());
        }
        self.follow(page).await
    }

    /// Sends the sign-in form.
    ///
    /// # Errors
    /// When the panel does not answer.
    pub async fn try_sign_in(&self, email: &str, password: &str) -> anyhow::Result<Page> {
        self.send(
            Method::POST,
            "/login",
            &[("email", email), ("password", password)],
        )
        .await
    }

    /// Opens a page and follows redirects.
    ///
    /// # Errors
    /// When the panel does not answer, or redirects in circles.
    pub async fn get(&self, path: &str) -> anyhow::Result<Page> {
        let page = self.send(Method::GET, path, &[]).await?;
        self.follow(page).await
    }

    /// Asks for a part of a page, as the panel's scripts do.
    ///
    /// # Errors
    /// When the panel does not answer.
    pub async fn fragment(&self, path: &str) -> anyhow::Result<Page> {
        self.take(self.request(Method::GET, path).header("hx-request", "true"), path)
            .await
    }

    /// Sends a form and stays at its answer.
    ///
    /// # Errors
    /// When the panel does not answer.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Page> {
        self.send(Method::POST, path, form).await
    }

    /// Sends a form and follows where it leads.
    ///
    /// # Errors
    /// When the panel does not answer, or redirects in circles.
    pub async fn submit(&self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Page> {
        let page = self.post(path, form).await?;
        self.follow(page).await
    }

    /// Sends a form as another site would make this browser send it.
    ///
    /// # Errors
    /// When the panel does not answer.
    pub async fn post_from(&self, origin: Option<&str>, path: &str) -> anyhow::Result<Page> {
        let mut request = self.request(Method::POST, path).form(&[("a", "b")]);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        self.take(request, path).await
    }

    /// The cookies, by name.
    pub fn cookies(&self) -> BTreeMap<String, String> {
        self.cookies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts a cookie in.
    pub fn set_cookie(&self, name: &str, value: &str) {
        let mut cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        cookies.insert(name.to_owned(), value.to_owned());
    }

    async fn send(&self, method: Method, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Page> {
        let mut request = self.request(method.clone(), path);
        if method == Method::POST {
            request = request.form(form).header(ORIGIN, &self.origin);
        }
        self.take(request, path).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let cookies: Vec<String> = self
            .cookies()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = self.http.request(method, format!("{}{path}", self.origin));
        if cookies.is_empty() {
            request
        } else {
            request.header(COOKIE, cookies.join("; "))
        }
    }

    async fn take(&self, request: RequestBuilder, path: &str) -> anyhow::Result<Page> {
        let answer = request
            .send()
            .await
            .with_context(|| format!("`{path}` was not answered"))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer
            .text()
            .await
            .with_context(|| format!("the answer of `{path}` broke off"))?;
        for value in headers.get_all(SET_COOKIE) {
            self.remember(value.to_str().unwrap_or_default());
        }
        Ok(Page {
            status,
            path: path.to_owned(),
            headers,
            body,
        })
    }

    fn remember(&self, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
        let Some((name, value)) = pair.split_once('=') else {
            return;
        };
        let mut cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        if attributes.contains("Max-Age=0") {
            cookies.remove(name);
        } else {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    async fn follow(&self, mut page: Page) -> anyhow::Result<Page> {
        for _ in 0..REDIRECTS {
            let Some(to) = page.headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
                return Ok(page);
            };
            let to = to.to_owned();
            page = self.send(Method::GET, &to, &[]).await?;
        }
        bail!("`{}` redirects in circles", page.path);
    }
}
