//! What requests bring along: queries and ids, with errors that name the parameter.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use model::TimeMs;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::problem::Problem;

/// The most rows that a page may hold.
const MAX_LIMIT: usize = 1000;

/// The query; a name that the list does not know is refused, since to ignore it would give wrong rows.
pub(super) struct Params<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Params(params)),
            Err(err) => Err(Problem::bad_request(format!("the query cannot be used: {}", err.body_text()))),
        }
    }
}

/// A page of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Rows a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>)]
    pub(super) limit: Option<String>,
    /// `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    pub(super) min_tick: Option<String>,
}

/// What every live answer can be asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LiveParams {
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    pub(super) min_tick: Option<String>,
}

/// The id in the path.
pub(super) struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Id(id)),
            Err(err) => Err(Problem::bad_request(format!("the id in the path: {}", err.body_text()))),
        }
    }
}

/// A parameter that is there and not empty.
pub(super) fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|text| !text.is_empty())
}

pub(super) fn shared_text(value: Option<&str>) -> Option<Arc<str>> {
    given(value).map(Arc::from)
}

fn parsed<T: FromStr>(name: &str, value: Option<&str>, expected: impl Display) -> Result<Option<T>, Problem> {
    let Some(text) = given(value) else { return Ok(None) };
    match text.parse() {
        Ok(parsed) => Ok(Some(parsed)),
        Err(_) => Err(Problem::bad_request(format!("{name} must be {expected}, and is {text:?}"))),
    }
}

pub(super) fn whole_number(name: &str, value: Option<&str>) -> Result<Option<u64>, Problem> {
    parsed(name, value, "a whole number")
}

/// A finite number within `[min, max]`.
pub(super) fn number_within(
    name: &str,
    value: Option<&str>,
    (min, max): (f64, f64),
) -> Result<Option<f64>, Problem> {
    let expected = format!("a number from {min} to {max}");
    let number: Option<f64> = parsed(name, value, &expected)?;
    match number {
        Some(n) if !(min..=max).contains(&n) => {
            Err(Problem::bad_request(format!("{name} must be {expected}, and is {n}")))
        }
        other => Ok(other),
    }
}

pub(super) fn limit(value: Option<&str>, default: usize) -> Result<usize, Problem> {
    let expected = format!("a whole number from 1 to {MAX_LIMIT}");
    match parsed::<usize>("limit", value, &expected)? {
        None => Ok(default),
        Some(n) if (1..=MAX_LIMIT).contains(&n) => Ok(n),
        Some(n) => Err(Problem::bad_request(format!("limit must be {expected}, and is {n}"))),
    }
}

pub(super) fn time(name: &str, value: Option<&str>) -> Result<Option<TimeMs>, Problem> {
    let Some(text) = given(value) else { return Ok(None) };
    // A plus sign in a query is a blank unless it was written as %2B, which is easily forgotten.
    let with_plus = || TimeMs::parse_rfc3339(&text.replace(' ', "+"));
    match TimeMs::parse_rfc3339(text).or_else(|err| with_plus().map_err(|_| err)) {
        Ok(time) => Ok(Some(time)),
        Err(err) => Err(Problem::bad_request(format!("{name} is {text:?}: {err}"))),
    }
}

/// `from` and `to` of a question about `[from, to)`; an empty period is a mistake rather than a question.
pub(super) fn period(
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(Option<TimeMs>, Option<TimeMs>), Problem> {
    let (from, to) = (time("from", from)?, time("to", to)?);
    match (from, to) {
        (Some(from), Some(to)) if from >= to => {
            Err(Problem::bad_request(format!("from is {from}, which is not before to, {to}")))
        }
        period => Ok(period),
    }
}

pub(super) fn yes_or_no(name: &str, value: Option<&str>) -> Result<bool, Problem> {
    Ok(true_or_false(name, value)?.unwrap_or(false))
}

pub(super) fn true_or_false(name: &str, value: Option<&str>) -> Result<Option<bool>, Problem> {
    parsed(name, value, "true or false")
}

/// A value out of a few.
pub(super) fn named<T>(
    name: &str,
    value: Option<&str>,
    known: &[&str],
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let Some(text) = given(value) else { return Ok(None) };
    let refuse =
        || Problem::bad_request(format!("{name} must be one of {}, and is {text:?}", known.join(", ")));
    read(text).map(Some).ok_or_else(refuse)
}
