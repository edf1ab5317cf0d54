//! The rows of a window that are out.

use model::KpiSpan;

use super::tally::MetricKey;

/// A row of a slice that comes (+1) or goes (-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub span: KpiSpan,
    pub start: Option<i64>,
    pub metric: MetricKey,
    pub value: i64,
    pub is_final: bool,
    pub diff: i8,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// When the window begins; of no meaning where there are no figures.
    pub start: i64,
    pub is_final: bool,
    /// In the order of metrics.
    pub figures: Vec<(MetricKey, i64)>,
}

impl Shown {
    /// Shows other figures, and tells what moved.
    pub fn show(&mut self, span: KpiSpan, anew: Shown, moved: &mut impl FnMut(Moved)) {
        let is_alike = (anew.start, anew.is_final) == (self.start, self.is_final);
        let mut tell = |of: &Shown, others: &Shown, diff: i8| {
            let start = (span != KpiSpan::Now).then_some(of.start);
            for row in &of.figures {
                if !is_alike || others.figures.binary_search(row).is_err() {
                    let (metric, value) = *row;
                    moved(Moved { span, start, metric, value, is_final: of.is_final, diff });
                }
            }
        };
        tell(self, &anew, -1);
        tell(&anew, self, 1);
        *self = anew;
    }
}
