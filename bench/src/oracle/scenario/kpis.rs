//! Rows of KPIs as lines, of which there are so many that a scenario says which it is about.

use std::fmt::Write;

use model::{KpiRow, KpiSliceKind};

use super::ScenarioError;
use super::print::short;
use super::words::{Word, split, word};

/// What begins a line that says which rows a scenario is about.
const MARK: char = '?';

/// Some rows of KPIs: each word is the span, the slice's kind or id, or the metric; or the beginning of one, with
/// a star behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KpiFilter(Vec<Word>);

impl KpiFilter {
    fn is_about(&self, row: &KpiRow) -> bool {
        let metric = row.metric.name();
        let names = [row.span.as_str(), row.slice.kind.as_str(), &row.slice.id, &metric];
        let is_one = |word: &Word| match word.plain().strip_suffix('*') {
            Some(beginning) => names.iter().any(|name| name.starts_with(beginning)),
            None => names.contains(&word.text.as_str()),
        };
        self.0.iter().all(is_one)
    }
}

/// Whether a line says which rows a scenario is about.
pub(super) fn is_filter(line: &str) -> bool {
    line.trim_start().starts_with(MARK)
}

/// Which rows of KPIs a scenario is about.
///
/// # Errors
/// When a line of them is no words.
pub fn kpi_filters(scenario: &str) -> Result<Vec<KpiFilter>, ScenarioError> {
    let filters = (1..).zip(scenario.lines()).filter(|(_, line)| is_filter(line));
    let filter = |(line, text): (usize, &str)| match split(text.trim_start().trim_start_matches(MARK)) {
        Ok(words) => Ok(KpiFilter(words)),
        Err(what) => Err(ScenarioError { line, what }),
    };
    filters.map(filter).collect()
}

/// The rows that any of the filters is about, as lines such as `kpi day 00:00 fleet trips_started 1`.
#[must_use]
pub fn print_kpis(rows: &[KpiRow], filters: &[KpiFilter]) -> String {
    let mut out = String::new();
    for row in rows.iter().filter(|row| filters.iter().any(|filter| filter.is_about(row))) {
        let start = row.start.map(|start| format!(" {}", short(start))).unwrap_or_default();
        let id = match row.slice.kind {
            KpiSliceKind::Fleet => String::new(),
            _ => format!(" {}", word(&row.slice.id)),
        };
        let (span, kind, metric) = (row.span.as_str(), row.slice.kind.as_str(), word(&row.metric.name()));
        let is_final = if row.is_final { " final" } else { "" };
        // Writing into a `String` cannot fail.
        let written = writeln!(out, "kpi {span}{start} {kind}{id} {metric} {}{is_final}", row.value);
        debug_assert!(written.is_ok());
    }
    out
}
