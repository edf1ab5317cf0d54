//! The static pages: part of the program, so that nothing needs to be installed.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::routing::get;

use crate::fingerprint::Fingerprint;
use crate::http::Shared;

/// Scripts, styles and data come from here only; icons may be part of the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A file of the pages.
struct PageFile {
    paths: &'static [&'static str],
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! page_file {
    ($name:literal, $content_type:expr) => {
        page_file!($name, $content_type, &[concat!("/", $name)])
    };
    ($name:literal, $content_type:expr, $paths:expr) => {
        PageFile {
            paths: $paths,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../page/", $name)),
        }
    };
}

/// The page of tracking links; they name a trip, and the page asks for it.
const TRACKING: PageFile = page_file!("track.html", HTML);

const FILES: &[PageFile] = &[
    page_file!("alerts.html", HTML, &["/alerts", "/alerts.html"]),
    page_file!("alerts.js", SCRIPT),
    page_file!("api.html", HTML, &["/api", "/api.html"]),
    page_file!("api.js", SCRIPT),
    page_file!("app.js", SCRIPT),
    page_file!("coast.js", SCRIPT),
    page_file!("desk.css", STYLE),
    page_file!("edit.js", SCRIPT),
    page_file!("feed.js", SCRIPT),
    page_file!("feedlist.js", SCRIPT),
    page_file!("handles.js", SCRIPT),
    page_file!("index.html", HTML, &["/", "/index.html"]),
    page_file!("kpis.html", HTML, &["/kpis", "/kpis.html"]),
    page_file!("kpis.js", SCRIPT),
    page_file!("list.js", SCRIPT),
    page_file!("live.js", SCRIPT),
    page_file!("map.js", SCRIPT),
    page_file!("net.js", SCRIPT),
    page_file!("outline.js", SCRIPT),
    page_file!("paint.js", SCRIPT),
    page_file!("panels.js", SCRIPT),
    page_file!("shapes.js", SCRIPT),
    page_file!("stream.js", SCRIPT),
    page_file!("style.css", STYLE),
    page_file!("text.js", SCRIPT),
    page_file!("track.css", STYLE),
    TRACKING,
    page_file!("track.js", SCRIPT),
    page_file!("trips.css", STYLE),
    page_file!("trips.html", HTML, &["/trips", "/trips.html"]),
    page_file!("trips.js", SCRIPT),
    page_file!("visits.js", SCRIPT),
];

pub(crate) fn routes() -> Router<Arc<Shared>> {
    let mut router = Router::new();
    for file in FILES {
        let etag = Fingerprint::of(file.bytes).etag();
        for path in file.paths {
            let etag = etag.clone();
            router = router
                .route(path, get(move |headers: HeaderMap| async move { answer(file, &etag, &headers) }));
        }
    }
    router
}

/// The page of a tracking link.
pub(crate) fn tracking_page() -> Response<Body> {
    answer(&TRACKING, &Fingerprint::of(TRACKING.bytes).etag(), &HeaderMap::new())
}

fn answer(file: &PageFile, etag: &HeaderValue, request: &HeaderMap) -> Response<Body> {
    let known = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known =
        known.split(',').any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == etag.as_bytes());
    let body = if is_known { Body::empty() } else { Body::from(file.bytes) };
    let mut response = Response::new(body);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(header::ETAG, etag.clone());
    // A new release shows at once: browsers ask each time, and mostly hear that nothing changed.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = format!("/{name}");
            assert!(FILES.iter().any(|file| file.paths.contains(&path.as_str())), "{path} is not served");
        }
    }
}
