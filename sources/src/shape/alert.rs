//! Rules, the provider's alerts, and what people say of alerts: what the arithmetic needs of them is read, and the
//! whole record is kept.

use std::borrow::Cow;
use std::sync::Arc;

use model::{AlertMark, AlertRule, ProviderAlert, Record, RuleScope, Severity};
use serde_json::value::RawValue;

use super::Origin;
use super::entity::{one_of, optional_time, required_id, required_text};
use super::provider::provider_kind;
use crate::json::{self, Members};

const MAX_DURATION_S: f64 = 1e9;
const MAX_THRESHOLD: f64 = 1e6;

/// Decodes a record of one of the types `rule`, `provider_alert`, `acknowledge` and `resolve`.
pub(super) fn decode(kind: &str, record: &Members<'_>, origin: Origin) -> Result<Record, String> {
    let json = record.compact_without("received_time")?;
    match kind {
        "rule" => decode_rule(record, origin, json),
        "provider_alert" => Ok(Record::ProviderAlert { alert: Arc::new(provider_alert(record)?), json }),
        _ => {
            let mark = AlertMark::from_name(kind).ok_or_else(|| format!("type {kind} is no mark"))?;
            let alert_id = required_id(record, "alert_id")?;
            let by = required_text(record, "by")?.into();
            Ok(Record::AlertMark { alert_id, mark, by, json })
        }
    }
}

/// Decodes a `provider_alert` that a webhook was turned into.
pub(crate) fn decode_provider_alert(json: String) -> Result<Record, String> {
    let alert = provider_alert(&Members::parse(&json)?)?;
    Ok(Record::ProviderAlert { alert: Arc::new(alert), json })
}

/// What is wrong with a rule that is kept and has no effect.
pub(crate) fn ignored_rule(record: &Record) -> Option<String> {
    let Record::Other { kind: "rule", json } = record else { return None };
    let reason = rule(&Members::parse(json).ok()?).err()?;
    Some(format!("the rule has no effect: {reason}"))
}

/// Earlier releases took rules that say less than is needed: behind the door such a rule is a record that says
/// nothing.
fn decode_rule(record: &Members<'_>, origin: Origin, json: String) -> Result<Record, String> {
    accepted_ever_since(record)?;
    match (rule(record), origin) {
        (Ok(rule), _) => Ok(Record::Rule { rule: Arc::new(rule), json }),
        (Err(_), Origin::Journalled | Origin::File) => Ok(Record::Other { kind: "rule", json }),
        (Err(reason), Origin::Posted | Origin::Backfill) => Err(reason),
    }
}

/// What every release asked of a rule.
fn accepted_ever_since(record: &Members<'_>) -> Result<(), String> {
    required_text(record, "kind")?;
    one_of("scope", &required_text(record, "scope")?, &RuleScope::NAMES)?;
    for name in ["threshold", "duration_s"] {
        if record.value(name).is_some_and(|raw| json::number(raw).is_none()) {
            return Err(format!("{name} must be a number"));
        }
    }
    if record.value("severity").is_some() {
        required_text(record, "severity")?;
    }
    json::flag("enabled", record.value("enabled")).map(drop)
}

fn rule(record: &Members<'_>) -> Result<AlertRule, String> {
    let scope = required_text(record, "scope")?;
    let scope_id = match (scope.as_ref(), record.value("scope_id")) {
        ("fleet", Some(_)) => return Err("scope_id is for other scopes; there is one fleet".to_owned()),
        ("fleet", None) => None,
        _ => Some(required_id(record, "scope_id")?),
    };
    Ok(AlertRule {
        kind: required_id(record, "kind")?,
        scope: RuleScope::from_parts(&scope, scope_id)
            .ok_or_else(|| format!("scope {} is not known", json::quoted(&scope)))?,
        threshold_milli: thousandths(record, "threshold", -MAX_THRESHOLD..=MAX_THRESHOLD)?,
        duration_ms: thousandths(record, "duration_s", 0.0..=MAX_DURATION_S)?,
        severity: severity(record)?,
        // A rule is there to hold.
        enabled: record.value("enabled").is_none() || json::flag("enabled", record.value("enabled"))?,
        correct_history: json::flag("correct_history", record.value("correct_history"))?,
    })
}

/// A number in thousandths, rounded half away from zero.
fn thousandths(
    record: &Members<'_>,
    name: &str,
    range: std::ops::RangeInclusive<f64>,
) -> Result<Option<i64>, String> {
    let Some(raw) = record.value(name) else { return Ok(None) };
    match json::number(raw).filter(|number| range.contains(number)) {
        Some(number) => Ok(Some((number * 1000.0).round() as i64)),
        None => {
            let (min, max) = range.into_inner();
            Err(format!("{name} must be a number from {min} to {max}, and is {}", json::quoted(raw.get())))
        }
    }
}

fn severity(record: &Members<'_>) -> Result<Option<Severity>, String> {
    if record.value("severity").is_none() {
        return Ok(None);
    }
    let name = required_text(record, "severity")?;
    one_of("severity", &name, &Severity::ALL.map(Severity::as_str))?;
    Ok(Severity::from_name(&name))
}

fn provider_alert(record: &Members<'_>) -> Result<ProviderAlert, String> {
    let vehicle_id = required_id(record, "vehicle_id")?;
    let name = required_id(record, "kind")?;
    let details = match record.value("details") {
        Some(details) if !details.get().starts_with('{') => {
            return Err("details must be an object".to_owned());
        }
        details => details,
    };
    let event_key = details.and_then(|details| event_key(details.get()));
    let named = provider_kind(&name, event_key.as_deref());
    Ok(ProviderAlert {
        vehicle_id,
        kind: named.kind,
        severity: named.severity,
        is_instant: named.is_instant,
        provider_id: provider_id(record)?,
        started: optional_time(record, "started")?,
        ended: optional_time(record, "ended")?,
        details: details.map(short_details).transpose()?.flatten(),
    })
}

/// The provider's number of the alert as text; empty is none.
fn provider_id(record: &Members<'_>) -> Result<Option<Arc<str>>, String> {
    let Some(raw) = record.value("provider_id") else { return Ok(None) };
    let number = json::is_number(raw).then(|| Cow::Borrowed(raw.get()));
    let id = number.or_else(|| json::text(raw)).ok_or("provider_id must be text or a number")?;
    Ok(Some(id).filter(|id| !id.is_empty()).map(Into::into))
}

/// Which of two sorts the alert is of, where the provider says it.
fn event_key(details: &str) -> Option<String> {
    let details = Members::parse(details).ok()?;
    Some(json::text(details.value("event_key")?)?.into_owned())
}

fn short_details(details: &RawValue) -> Result<Option<Arc<str>>, String> {
    let mut compact = String::new();
    json::push_compact(&mut compact, details.get())?;
    Ok((compact.len() <= ProviderAlert::MAX_DETAILS_BYTES).then(|| compact.into()))
}
