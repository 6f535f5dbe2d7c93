//! From method and path to a function.

use crate::{Context, Error, Method, Request, Response};

/// A function that answers requests.
pub type Handler = fn(&Context, &Request) -> Result<Response, Error>;

/// The pages and actions of a plugin.
///
/// ```
/// # use portico_sdk::prelude::*;
/// # fn page(_: &Context, _: &Request) -> Result<Response, Error> { Ok(Response::redirect("")) }
/// # use page as create;
/// fn handle(cx: &Context, request: &Request) -> Result<Response, Error> {
///     Router::new()
///         .get("", page)
///         .post("create", create)
///         .answer(cx, request)
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Router {
    routes: Vec<(Method, &'static str, Handler)>,
}

impl Router {
    /// A router that finds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A page or fragment. `path` is under the plugin, without a leading slash; empty is the first page.
    #[must_use]
    pub fn get(mut self, path: &'static str, handler: Handler) -> Self {
        self.routes.push((Method::Get, path, handler));
        self
    }

    /// An action.
    #[must_use]
    pub fn post(mut self, path: &'static str, handler: Handler) -> Self {
        self.routes.push((Method::Post, path, handler));
        self
    }

    /// Calls the function of the request's path.
    ///
    /// # Errors
    /// `not-found` when there is none; else what the function returns.
    pub fn answer(&self, cx: &Context, request: &Request) -> Result<Response, Error> {
        let found = self
            .routes
            .iter()
            .find(|(method, path, _)| *method == request.method && *path == request.path);
        match found {
            Some((_, _, handler)) => handler(cx, request),
            None => Err(Error::NotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[expect(clippy::unnecessary_wraps, reason = "a handler's signature")]
    fn yes(_: &Context, _: &Request) -> Result<Response, Error> {
        Ok(Response::redirect("yes"))
    }

    fn no(_: &Context, _: &Request) -> Result<Response, Error> {
        Err(Error::Conflict)
    }

    #[test]
    fn method_and_path_decide_and_nothing_else_is_found() {
        let router = Router::new().get("a", yes).post("a", no);
        let cx = testing::context();
        let ask = |method, path: &str| {
            router.answer(
                &cx,
                &Request {
                    method,
                    path: path.into(),
                    query: vec![],
                    form: vec![],
                },
            )
        };
        assert_eq!(ask(Method::Get, "a"), Ok(Response::redirect("yes")));
        assert_eq!(ask(Method::Post, "a"), Err(Error::Conflict));
        for path in ["", "a/", "/a", "A", "ab"] {
            assert_eq!(ask(Method::Get, path), Err(Error::NotFound));
        }
    }
}
