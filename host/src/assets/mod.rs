//! The files the browser loads: style sheet, scripts, fonts, the mark.
//!
//! `npm run build` in `web/` writes them to `web/dist/`, named after their content, with a manifest from the name
//! templates ask for (`app.css`) to the hashed one. They are embedded in a release binary and read once at start;
//! a debug binary reads them from the folder. [`Assets::url`] is what templates call, [`Assets::response`] is what the
//! web layer answers. A new entry point is added in `web/build.mjs`; nothing changes here.
//!
//! Not here: how the files are made (`web/`), and where the route is mounted (the web layer).

mod encoding;

use std::collections::{BTreeMap, HashMap};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use rust_embed::RustEmbed;

use crate::view::urls::Url;
use encoding::Encoding;

#[derive(RustEmbed)]
#[folder = "../web/dist"]
struct Dist;

/// The icons that the sprite holds, which plugins may name.
pub fn icons() -> std::collections::BTreeSet<String> {
    // The list is part of the source tree and checked by a test below; a damaged one leaves no icon to name.
    serde_json::from_str(include_str!("../../../web/icons.json")).unwrap_or_default()
}

/// Why the assets could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum AssetsError {
    /// `web/dist` was empty when the binary was built (or, in a debug build, is empty now).
    #[error("the web assets are not built: run `cargo xtask build`")]
    NotBuilt,
    /// The manifest is not a map of names to names.
    #[error("the manifest of the web assets is damaged: run `cargo xtask build`")]
    Manifest(#[source] serde_json::Error),
    /// The manifest names a file that is not there.
    #[error("the web assets are incomplete, `{file}` is missing: run `cargo xtask build`")]
    Incomplete {
        /// The hashed name.
        file: String,
    },
}

struct Asset {
    content_type: HeaderValue,
    plain: Bytes,
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
}

/// All assets of this build, ready to serve.
pub struct Assets {
    manifest: BTreeMap<String, String>,
    files: HashMap<String, Asset>,
}

impl Assets {
    /// Loads what `cargo xtask build` made.
    ///
    /// # Errors
    /// [`AssetsError`]: nothing was built, or the build is incomplete.
    pub fn load() -> Result<Self, AssetsError> {
        let files = Dist::iter().filter_map(|name| {
            let file = Dist::get(&name)?;
            let data = match file.data {
                std::borrow::Cow::Borrowed(data) => Bytes::from_static(data),
                std::borrow::Cow::Owned(data) => Bytes::from(data),
            };
            Some((name.into_owned(), data))
        });
        Self::from_files(files)
    }

    /// Builds the set from files by name, the way [`Assets::load`] finds them; for tests.
    ///
    /// # Errors
    /// As [`Assets::load`].
    pub fn from_files(files: impl IntoIterator<Item = (String, Bytes)>) -> Result<Self, AssetsError> {
        let mut found: HashMap<String, Bytes> = files.into_iter().collect();
        let manifest = found.remove("manifest.json").ok_or(AssetsError::NotBuilt)?;
        let manifest: BTreeMap<String, String> =
            serde_json::from_slice(&manifest).map_err(AssetsError::Manifest)?;
        if let Some(file) = manifest.values().find(|file| !found.contains_key(*file)) {
            return Err(AssetsError::Incomplete { file: file.clone() });
        }
        let files = found
            .iter()
            .filter_map(|(name, plain)| {
                let asset = Asset {
                    content_type: content_type(name)?,
                    plain: plain.clone(),
                    brotli: found.get(&format!("{name}.br")).cloned(),
                    gzip: found.get(&format!("{name}.gz")).cloned(),
                };
                Some((name.clone(), asset))
            })
            .collect();
        Ok(Self { manifest, files })
    }

    /// The address of an asset by the name templates use, or nothing when there is no such asset.
    pub fn url(&self, logical: &str) -> Option<Url> {
        self.manifest.get(logical).map(|file| Url::asset(file))
    }

    /// Answers a request for the hashed name `file`, in the best encoding that the client accepts.
    ///
    /// Hashed names never change their content, so every answer may be kept for ever.
    pub fn response(&self, file: &str, request: &HeaderMap) -> Response<Body> {
        let Some(asset) = self.files.get(file) else {
            let mut response = Response::new(Body::from("There is no such file.\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/plain; charset=utf-8"),
            );
            return response;
        };
        let accepted = encoding::best(request, asset.brotli.is_some(), asset.gzip.is_some());
        let (body, encoding) = match (accepted, &asset.brotli, &asset.gzip) {
            (Encoding::Brotli, Some(brotli), _) => (brotli, Some("br")),
            (Encoding::Gzip, _, Some(gzip)) => (gzip, Some("gzip")),
            _ => (&asset.plain, None),
        };
        let mut response = Response::new(Body::from(body.clone()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, asset.content_type.clone());
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }
}

/// The media type by extension; nothing for files that are not served under their own name.
fn content_type(name: &str) -> Option<HeaderValue> {
    let (_, extension) = name.rsplit_once('.')?;
    let media_type = match extension {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "json" => "application/json",
        _ => return None,
    };
    Some(HeaderValue::from_static(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assets() -> Assets {
        let files = [
            ("manifest.json", r#"{"app.css":"app-1.css"}"#),
            ("app-1.css", "body{}"),
            ("app-1.css.br", "<br>"),
            ("app-1.css.gz", "<gz>"),
            ("inter.woff2", "font"),
            (".gitkeep", ""),
        ];
        Assets::from_files(files.map(|(name, data)| (name.to_owned(), Bytes::from(data)))).unwrap()
    }

    fn accept(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    fn encoding_of(response: &Response<Body>) -> Option<&str> {
        response
            .headers()
            .get(header::CONTENT_ENCODING)
            .map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_folder_without_a_manifest_says_how_to_build_it() {
        let error = Assets::from_files([(".gitkeep".to_owned(), Bytes::new())])
            .err()
            .unwrap();
        assert!(error.to_string().contains("cargo xtask build"), "{error}");
    }

    #[test]
    fn a_manifest_that_names_a_missing_file_is_refused() {
        let manifest = Bytes::from(r#"{"app.css":"app-2.css"}"#);
        let error = Assets::from_files([("manifest.json".to_owned(), manifest)])
            .err()
            .unwrap();
        assert!(matches!(error, AssetsError::Incomplete { file } if file == "app-2.css"));
    }

    #[test]
    fn an_asset_is_served_in_the_best_accepted_encoding_and_may_be_kept_for_ever() {
        let assets = assets();
        let response = assets.response("app-1.css", &accept("gzip, deflate, br"));
        assert_eq!(encoding_of(&response), Some("br"));
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/css; charset=utf-8"
        );
        assert!(
            response.headers()[header::CACHE_CONTROL]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        assert_eq!(
            encoding_of(&assets.response("app-1.css", &accept("br;q=0, gzip"))),
            Some("gzip")
        );
        assert_eq!(
            encoding_of(&assets.response("app-1.css", &HeaderMap::new())),
            None
        );
        assert_eq!(encoding_of(&assets.response("inter.woff2", &accept("br"))), None);
    }

    #[test]
    fn names_that_are_no_asset_are_not_found() {
        let assets = assets();
        for name in [
            "app.css",
            ".gitkeep",
            "manifest.json",
            "app-1.css.br",
            "../Cargo.toml",
            "",
        ] {
            assert_eq!(
                assets.response(name, &HeaderMap::new()).status(),
                StatusCode::NOT_FOUND,
                "{name}"
            );
        }
    }

    #[test]
    fn templates_get_the_hashed_address() {
        assert_eq!(assets().url("app.css").unwrap().to_string(), "/assets/app-1.css");
        assert!(assets().url("other.css").is_none());
    }
}
