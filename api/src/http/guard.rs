//! What every request passes: host and origin checks, a time limit, a net under panics, security headers.
//!
//! A web page elsewhere must neither read from a service on this machine (by a name that is made to point
//! here) nor write to it (across origins).

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{Method, Request, Response};
use axum::response::IntoResponse;
use tower_layer::Layer;
use tower_service::Service;

use super::Shared;
use crate::problem::Problem;

const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// Probes come by whatever address they know, and learn nothing that is worth protecting.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Wraps routes into [`Guard`].
#[derive(Clone)]
pub(super) struct GuardLayer {
    shared: Arc<Shared>,
}

impl GuardLayer {
    pub fn new(shared: Arc<Shared>) -> GuardLayer {
        GuardLayer { shared }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, shared: self.shared.clone() }
    }
}

/// The routes behind the checks.
#[derive(Clone)]
pub(super) struct Guard<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let allowed = check(&request, &self.shared.api.config.allowed_hosts);
        let shared = self.shared.clone();
        // The request is not handed on when it is refused; its body is dropped unread.
        let handled = allowed.map(|()| self.inner.call(request));
        Box::pin(async move {
            let mut response = match handled {
                Ok(handled) => finish(handled, &shared).await,
                Err(problem) => problem.closing().into_response(),
            };
            add_security_headers(response.headers_mut());
            shared.metrics.answered(response.status());
            Ok(response)
        })
    }
}

/// The handler's answer, unless it takes too long or panics.
async fn finish<F>(handled: F, shared: &Shared) -> Response<Body>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    let mut handled = std::pin::pin!(handled);
    let unpanicked = poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| handled.as_mut().poll(context)));
        match polled {
            Ok(poll) => poll.map(|Ok(response)| response),
            Err(panic) => Poll::Ready(panic_answer(panic.as_ref())),
        }
    });
    let limit = shared.api.config.request_timeout;
    match tokio::time::timeout(limit, unpanicked).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!(
                "the request took longer than {} s; send less at once, or try later",
                limit.as_secs_f64()
            );
            Problem::unavailable(detail, 1).closing().into_response()
        }
    }
}

fn panic_answer(panic: &(dyn Any + Send)) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied();
    let message = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    tracing::error!(message, "a request handler panicked; this is a defect, please report it");
    Problem::internal("a defect in the service; the log tells more").into_response()
}

fn add_security_headers(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
}

fn check(request: &Request<Body>, allowed_hosts: &[String]) -> Result<(), Problem> {
    let headers = request.headers();
    if PROBES.contains(&request.uri().path()) {
        return Ok(());
    }
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => single(headers, &header::HOST)?
            .ok_or_else(|| Problem::forbidden("the Host header is missing; name the service in it"))?,
    };
    let host = host_of(authority).ok_or_else(|| {
        Problem::forbidden(format!("the host {authority:?} is none; send a name, and a port if need be"))
    })?;
    let is_allowed =
        |name: &str| name == "*" || host_of(name).is_some_and(|name| name.eq_ignore_ascii_case(host));
    let is_known =
        LOOPBACK_NAMES.into_iter().any(is_allowed) || allowed_hosts.iter().any(|name| is_allowed(name));
    if !is_known {
        return Err(Problem::forbidden(format!(
            "the host {host:?} is not a name of this service; add it to its allowed hosts if it is one"
        )));
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    check_origin(headers, authority)
}

fn check_origin(headers: &HeaderMap, authority: &str) -> Result<(), Problem> {
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Err(Problem::forbidden("a page of another site may not write here"));
    }
    let Some(origin) = single(headers, &header::ORIGIN)? else { return Ok(()) };
    let origin_authority = origin.split_once("://").map(|(_, authority)| authority);
    if origin_authority.is_some_and(|origin| origin.eq_ignore_ascii_case(authority)) {
        return Ok(());
    }
    Err(Problem::forbidden(format!("a page of the origin {origin:?} may not write to {authority:?}")))
}

/// The value of a header that may be there once.
fn single<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        Ok(text) if values.next().is_none() => Ok(Some(text)),
        _ => Err(Problem::forbidden(format!("the header {name} must be there once, as plain text"))),
    }
}

/// The host of `host` or `host:port`; nothing else may be there, such as a user's name.
fn host_of(authority: &str) -> Option<&str> {
    // What is parsed may still have a user before the host, or rubbish between the host and the port.
    let parsed: Authority = authority.parse().ok()?;
    let host = authority.get(..parsed.host().len()).filter(|host| *host == parsed.host())?;
    let port = &authority[host.len()..];
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/api/v1/trucks");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(Body::empty()).unwrap(), &["Fleet.example".to_owned()]).is_ok()
    }

    #[test]
    fn only_names_of_the_service_are_answered() {
        for host in [
            "localhost",
            "LOCALHOST:8090",
            "127.0.0.1:8090",
            "[::1]:8090",
            "fleet.example",
            "fleet.example:443",
        ] {
            assert!(verdict("GET", &[("host", host)]), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::2]",
            "10.0.0.1",
            "localhost:1@evil.example",
            "localhost@evil.example",
            "evil@localhost",
            "localhost@localhost",
            "[::1].evil.example",
            "[::1]evil",
            "localhost:80x",
            "localhost:80:evil.example",
        ] {
            assert!(!verdict("GET", &[("host", host)]), "{host}");
        }
        assert!(!verdict("GET", &[]));
        assert!(!verdict("GET", &[("host", "localhost"), ("host", "evil.example")]));
    }

    #[test]
    fn only_the_services_own_pages_write() {
        let host = ("host", "localhost:8090");
        assert!(verdict("POST", &[host]), "no browser");
        assert!(verdict("POST", &[host, ("origin", "http://localhost:8090")]));
        assert!(!verdict("POST", &[host, ("origin", "http://localhost:3000")]));
        assert!(!verdict("POST", &[host, ("origin", "null")]));
        assert!(!verdict("DELETE", &[host, ("origin", "http://evil.example")]));
        assert!(!verdict("PUT", &[host, ("sec-fetch-site", "cross-site")]));
        assert!(verdict("PUT", &[host, ("sec-fetch-site", "same-origin")]));
        assert!(verdict("GET", &[host, ("sec-fetch-site", "cross-site")]), "a link from elsewhere");
    }
}
