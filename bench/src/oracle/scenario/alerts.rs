//! Rules and alerts, from text and to it.

use std::fmt::{self, Write};

use model::{AlertDetails, AlertRow, AlertRule, ProviderAlert, RuleScope, Severity};

use super::parse::{Words, number, text, time, value};
use super::print::{lines, short, write_value};
use super::words::word;
use crate::oracle::Rows;

fn milli(words: &mut Words<'_>, after: &str) -> Result<i64, String> {
    Ok((number(value(words, after)?)? * 1000.0).round() as i64)
}

fn severity(words: &mut Words<'_>) -> Result<Severity, String> {
    let name = value(words, "severity")?;
    Severity::from_name(name).ok_or_else(|| format!("{name:?} is no severity"))
}

pub(super) fn rule(words: &mut Words<'_>) -> Result<AlertRule, String> {
    let kind = text(words, "rule")?.into();
    let name = value(words, "a kind of alerts")?;
    let id = if name == "fleet" { None } else { Some(text(words, "a scope")?.into()) };
    let scope = RuleScope::from_parts(name, id).ok_or_else(|| format!("{name:?} is no scope"))?;
    let mut rule = AlertRule {
        kind,
        scope,
        threshold_milli: None,
        duration_ms: None,
        severity: None,
        enabled: true,
        correct_history: false,
    };
    while let Some(name) = words.next() {
        match name.plain() {
            "limit" => rule.threshold_milli = Some(milli(words, "limit")?),
            "for" => rule.duration_ms = Some(milli(words, "for")?),
            "severity" => rule.severity = Some(severity(words)?),
            "off" => rule.enabled = false,
            "always" => rule.correct_history = true,
            _ => return Err(format!("{:?} is nothing that a rule has", name.text)),
        }
    }
    Ok(rule)
}

pub(super) fn provider(words: &mut Words<'_>) -> Result<ProviderAlert, String> {
    let mut alert = ProviderAlert {
        vehicle_id: text(words, "provider")?.into(),
        kind: text(words, "a vehicle")?.into(),
        severity: Severity::Warning,
        is_instant: false,
        provider_id: None,
        started: None,
        ended: None,
        details: None,
    };
    while let Some(name) = words.next() {
        match name.plain() {
            "started" => alert.started = Some(time(value(words, "started")?)?),
            "ended" => alert.ended = Some(time(value(words, "ended")?)?),
            "id" => alert.provider_id = Some(text(words, "id")?.into()),
            "severity" => alert.severity = severity(words)?,
            "instant" => alert.is_instant = true,
            "details" => alert.details = Some(text(words, "details")?.into()),
            _ => return Err(format!("{:?} is nothing that an alert of the provider has", name.text)),
        }
    }
    Ok(alert)
}

fn units(milli: i64) -> f64 {
    milli as f64 / 1000.0
}

pub(super) fn write_rule(out: &mut String, rule: &AlertRule) -> fmt::Result {
    let (scope, id) = rule.scope.parts();
    write!(out, "rule {} {scope}", word(&rule.kind))?;
    id.map_or(Ok(()), |id| write!(out, " {}", word(id)))?;
    write_value(out, "limit", rule.threshold_milli.map(units))?;
    write_value(out, "for", rule.duration_ms.map(units))?;
    write_value(out, "severity", rule.severity.map(Severity::as_str))?;
    out.push_str(if rule.enabled { "" } else { " off" });
    out.push_str(if rule.correct_history { " always" } else { "" });
    Ok(())
}

pub(super) fn write_provider(out: &mut String, alert: &ProviderAlert) -> fmt::Result {
    write!(out, "provider {} {}", word(&alert.vehicle_id), word(&alert.kind))?;
    write_value(out, "started", alert.started.map(short))?;
    write_value(out, "ended", alert.ended.map(short))?;
    write_value(out, "id", alert.provider_id.as_deref().map(word))?;
    let severity = Some(alert.severity).filter(|severity| *severity != Severity::Warning);
    write_value(out, "severity", severity.map(Severity::as_str))?;
    out.push_str(if alert.is_instant { " instant" } else { "" });
    write_value(out, "details", alert.details.as_deref().map(word))
}

/// Alerts as lines such as `idle warning T1 08:00..08:34 due 08:20`, in the order in which they began.
#[must_use]
pub fn print_alerts(rows: &Rows) -> String {
    let mut alerts: Vec<&AlertRow> = rows.alerts.iter().collect();
    alerts.sort_by_key(|row| {
        (row.started, row.kind.clone(), row.vehicle_id.clone(), row.fence_id.clone(), row.trip_id.clone())
    });
    lines(|out| alerts.iter().try_for_each(|row| write_alert(out, row)))
}

fn write_alert(out: &mut String, row: &AlertRow) -> fmt::Result {
    let (kind, severity, vehicle) = (word(&row.kind), row.severity.as_str(), word(&row.vehicle_id));
    let ended = row.ended.map(short).unwrap_or_default();
    write!(out, "{kind} {severity} {vehicle} {}..{ended} due {}", short(row.started), short(row.due_at))?;
    write_value(out, "fence", row.fence_id.as_deref().map(word))?;
    write_value(out, "trip", row.trip_id.as_deref().map(word))?;
    let has_details = *row.details != *AlertDetails::None.to_json();
    writeln!(out, "{}", if has_details { format!(" {}", row.details) } else { String::new() })
}
