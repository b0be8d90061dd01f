//! The web page: files that are compiled in, served as they are.
use crate::App;
use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::{
    Router,
    response::{IntoResponse as _, Response},
    routing::get,
};
use sha2::{Digest as _, Sha256};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($path:literal $kind:ident $file:literal;)*) => {
        &[$(Asset { path: $path, kind: $kind, text: include_str!(concat!("../web/", $file)) }),*]
    };
}

const ASSETS: &[Asset] = assets! {
    "/" HTML "index.html";
    "/app.js" SCRIPT "app.js";
    "/api.js" SCRIPT "api.js";
    "/dom.js" SCRIPT "dom.js";
    "/dashboard.js" SCRIPT "dashboard.js";
    "/charts.js" SCRIPT "charts.js";
    "/chat.js" SCRIPT "chat.js";
    "/account.js" SCRIPT "account.js";
    "/style.css" STYLE "style.css";
    "/favicon.svg" IMAGE "favicon.svg";
};

/// Routes of the page.
pub(crate) fn routes() -> Router<App> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let tag = format!("\"{}\"", &hex::encode(Sha256::digest(asset.text))[..16]);
        router.route(asset.path, get(move |headers: HeaderMap| async move { serve(asset, &tag, &headers) }))
    })
}

/// The browser asks each time whether its copy is still good, so a new version is seen at once.
fn serve(asset: &'static Asset, tag: &str, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { asset.text.into_response() };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_that_is_not_served_and_has_no_inline_script_or_style() {
        let page = ASSETS.iter().find(|asset| asset.path == "/").unwrap().text;
        for reference in page.split(['"', '\'']).filter(|part| part.starts_with('/') && part.contains('.')) {
            assert!(ASSETS.iter().any(|asset| asset.path == reference), "{reference}");
        }
        assert!(!page.contains("style=") && !page.contains("onclick=") && !page.contains("<style"));
        assert!(page.split("<script").skip(1).all(|tag| tag.contains("src=") && tag.contains("></script>")));
        assert!(
            ASSETS.iter().all(|asset| !asset.text.contains("innerHTML")),
            "texts of others are never read as markup"
        );
        assert!(ASSETS.iter().all(|asset| !asset.text.contains("https://")));
    }

    #[test]
    fn every_module_that_is_imported_is_served() {
        for asset in ASSETS.iter().filter(|asset| asset.kind == SCRIPT) {
            for line in asset.text.lines().filter(|line| line.starts_with("import ")) {
                let module = line.split('"').nth(1).unwrap().trim_start_matches('.');
                assert!(ASSETS.iter().any(|asset| asset.path == module), "{} imports {module}", asset.path);
            }
        }
    }

    #[test]
    fn a_copy_that_is_still_good_is_not_sent_again() {
        let asset = &ASSETS[0];
        let first = serve(asset, "\"a\"", &HeaderMap::new());
        assert_eq!(
            (first.status(), &first.headers()[header::ETAG]),
            (StatusCode::OK, &HeaderValue::from_static("\"a\""))
        );
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"a\""));
        assert_eq!(serve(asset, "\"a\"", &headers).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(serve(asset, "\"b\"", &headers).status(), StatusCode::OK);
    }
}
