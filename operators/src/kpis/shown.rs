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
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Shown {
    /// When the window begins; of no meaning where there are no figures.
    pub start: i64,
    pub is_final: bool,
    /// In the order of metrics.
    pub figures: Vec<(MetricKey, i64)>,
}

impl Shown {
    /// Shows other figures, and tells what moved in the order of metrics. What was shown is left in `anew`.
    pub fn show(&mut self, span: KpiSpan, anew: &mut Shown, moved: &mut impl FnMut(Moved)) {
        std::mem::swap(self, anew);
        let (after, before) = (&*self, &*anew);
        let is_alike = (after.start, after.is_final) == (before.start, before.is_final);
        let tell = |of: &Shown, &(metric, value): &(MetricKey, i64), diff: i8| {
            let start = (span != KpiSpan::Now).then_some(of.start);
            Moved { span, start, metric, value, is_final: of.is_final, diff }
        };
        let mut came = after.figures.iter().peekable();
        for went in &before.figures {
            while let Some(figure) = came.next_if(|figure| figure.0 < went.0) {
                moved(tell(after, figure, 1));
            }
            let in_its_place = came.next_if(|figure| figure.0 == went.0);
            if is_alike && in_its_place == Some(went) {
                continue;
            }
            moved(tell(before, went, -1));
            in_its_place.into_iter().for_each(|figure| moved(tell(after, figure, 1)));
        }
        came.for_each(|figure| moved(tell(after, figure, 1)));
    }

    /// Shows the same figures as final, or as not final any more.
    pub fn show_as(&mut self, is_final: bool, span: KpiSpan, moved: &mut impl FnMut(Moved)) {
        let mut anew = Shown { is_final, ..self.clone() };
        self.show(span, &mut anew, moved);
    }
}
