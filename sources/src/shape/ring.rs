//! Warns of rings that cross or touch themselves. They are accepted: even-odd gives them an inside, only
//! perhaps not the one that was meant.

use model::{Fence, Ring, Shape};

/// How many pairs of edges are compared at most for one file feature, or for all of one body: some tenths
/// of a second. Beyond it nothing is said.
pub(crate) const INTERSECTION_BUDGET: u64 = 30_000_000;

type Vertex = (i64, i64);

struct Edge {
    from: Vertex,
    to: Vertex,
    /// Position in the ring.
    index: usize,
    /// Extent along the swept axis.
    sweep: (i64, i64),
    /// Extent along the other axis.
    across: (i64, i64),
}

/// A warning if a ring of the fence crosses or touches itself; `budget` is used up by the work.
pub(crate) fn self_intersection(fence: &Fence, budget: &mut u64) -> Option<String> {
    let Shape::Polygon { parts } = &fence.shape else { return None };
    let at = parts.iter().flatten().find_map(|ring| meets_itself(ring, budget))?;
    let degrees = |units: i64| units as f64 / model::UNITS_PER_DEGREE as f64;
    Some(format!(
        "fence {} crosses or touches itself near longitude {}, latitude {}; it is used as drawn (even-odd)",
        crate::json::quoted(&fence.id),
        degrees(at.0),
        degrees(at.1),
    ))
}

/// A sweep over the edges in order of where they begin. It compares an edge with those that begin before it
/// ends, which are few for the rings that people draw; along the axis on which edges are shorter.
fn meets_itself(ring: &Ring, budget: &mut u64) -> Option<Vertex> {
    let mut vertices = ring.vertices.clone();
    vertices.dedup();
    let length_along = |axis: fn(&Vertex) -> i64| -> i128 {
        vertices.windows(2).map(|pair| i128::from((axis(&pair[0]) - axis(&pair[1])).abs())).sum()
    };
    let sweep_longitude = length_along(|v| v.0) <= length_along(|v| v.1);
    let ordered = |a: i64, b: i64| (a.min(b), a.max(b));
    let mut edges: Vec<Edge> = (vertices.windows(2).enumerate())
        .map(|(index, pair)| {
            let (from, to) = (pair[0], pair[1]);
            let (lon, lat) = (ordered(from.0, to.0), ordered(from.1, to.1));
            let (sweep, across) = if sweep_longitude { (lon, lat) } else { (lat, lon) };
            Edge { from, to, index, sweep, across }
        })
        .collect();
    let count = edges.len();
    edges.sort_unstable_by_key(|edge| edge.sweep);
    for (i, edge) in edges.iter().enumerate() {
        for other in edges[i + 1..].iter().take_while(|other| other.sweep.0 <= edge.sweep.1) {
            *budget = budget.checked_sub(1)?;
            let apart = edge.across.1 < other.across.0 || other.across.1 < edge.across.0;
            if !apart && edges_meet(edge, other, count) {
                return Some(other.from);
            }
        }
    }
    None
}

/// Whether two edges have a point in common that they should not have.
fn edges_meet(a: &Edge, b: &Edge, count: usize) -> bool {
    let (first, second) = if a.index < b.index { (a, b) } else { (b, a) };
    if second.index == first.index + 1 {
        return turns_back(first.from, first.to, second.to);
    }
    if first.index == 0 && second.index == count - 1 {
        return turns_back(second.from, second.to, first.to);
    }
    let side = |p: Vertex, q: Vertex, r: Vertex| cross(p, q, r).signum();
    let (a_from, a_to) = (side(b.from, b.to, a.from), side(b.from, b.to, a.to));
    let (b_from, b_to) = (side(a.from, a.to, b.from), side(a.from, a.to, b.to));
    // Edges on one line meet where their extents overlap, which the caller has found.
    a_from * a_to <= 0 && b_from * b_to <= 0
}

/// Whether the way from `corner` to `next` runs back over the way from `before` to `corner`.
fn turns_back(before: Vertex, corner: Vertex, next: Vertex) -> bool {
    let (dx1, dy1) = (i128::from(corner.0 - before.0), i128::from(corner.1 - before.1));
    let (dx2, dy2) = (i128::from(next.0 - corner.0), i128::from(next.1 - corner.1));
    cross(before, corner, next) == 0 && dx1 * dx2 + dy1 * dy2 < 0
}

fn cross(origin: Vertex, a: Vertex, b: Vertex) -> i128 {
    let (ax, ay) = (i128::from(a.0 - origin.0), i128::from(a.1 - origin.1));
    let (bx, by) = (i128::from(b.0 - origin.0), i128::from(b.1 - origin.1));
    ax * by - ay * bx
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meets(vertices: &[Vertex]) -> bool {
        let mut closed = vertices.to_vec();
        closed.push(vertices[0]);
        meets_itself(&Ring { vertices: closed }, &mut INTERSECTION_BUDGET.clone()).is_some()
    }

    #[test]
    fn tells_simple_rings_from_others() {
        assert!(!meets(&[(0, 0), (10, 0), (10, 10), (0, 10)]));
        assert!(!meets(&[(0, 0), (5, 0), (10, 0), (10, 10)]), "a vertex in the middle of a straight side");
        assert!(!meets(&[(0, 0), (0, 0), (10, 0), (10, 10)]), "a vertex given twice in a row");
        assert!(meets(&[(0, 0), (10, 10), (10, 0), (0, 10)]), "a bow tie");
        assert!(meets(&[(0, 0), (10, 0), (5, 0), (5, 10)]), "a way back");
        assert!(meets(&[(0, 0), (10, 0), (10, 10), (5, 0), (0, 10)]), "a vertex on another side");
        assert!(meets(&[(0, 0), (10, 0), (5, 5), (10, 10), (0, 10), (5, 5)]), "a vertex used twice");
    }

    #[test]
    fn large_rings_are_quick_and_hopeless_ones_given_up() {
        let circle: Vec<Vertex> = (0..100_000)
            .map(|i| (f64::from(i) / 100_000.0 * std::f64::consts::TAU).sin_cos())
            .map(|(sin, cos)| ((cos * 1e9) as i64, (sin * 1e9) as i64))
            .collect();
        assert!(!meets(&circle));
        let mut bent = circle.clone();
        bent[50_000] = (2_000_000_000, 0);
        assert!(meets(&bent));

        let comb: Vec<Vertex> =
            (0..50_000).map(|i| (i * 10 + i % 2, if i % 2 == 0 { 0 } else { 1_000_000 })).collect();
        let mut budget = INTERSECTION_BUDGET;
        let mut closed = comb.clone();
        closed.extend([(500_000, -1), (0, -1), comb[0]]);
        assert!(meets_itself(&Ring { vertices: closed }, &mut budget).is_none());
        assert!(budget > 0, "a comb is swept along its teeth");

        let diagonal: Vec<Vertex> =
            (0..50_000).map(|i| (i * 10 + (i % 2) * 1_000_000, -i * 10 + (i % 2) * 1_000_000)).collect();
        assert!(meets_itself(&Ring { vertices: diagonal }, &mut budget).is_none());
        assert_eq!(budget, 0);
    }

    proptest! {
        #[test]
        fn agrees_with_comparing_all_pairs(
            vertices in proptest::collection::vec((0_i64..12, 0_i64..12), 3..9)
        ) {
            let mut closed = vertices.clone();
            closed.push(vertices[0]);
            closed.dedup();
            let edges: Vec<(Vertex, Vertex)> = closed.windows(2).map(|p| (p[0], p[1])).collect();
            let n = edges.len();
            let mut expected = false;
            for i in 0..n {
                for j in i + 1..n {
                    expected |= common_points(edges[i], edges[j]) > usize::from(j == i + 1 || (i == 0 && j == n - 1));
                }
            }
            prop_assert_eq!(meets(&vertices), expected || n == 2);
        }
    }

    /// How many of a fine grid's points lie on both segments: 0, 1 or several; crossings off the grid count
    /// as 2.
    fn common_points((a, b): (Vertex, Vertex), (c, d): (Vertex, Vertex)) -> usize {
        let on = |p: Vertex, (s, t): (Vertex, Vertex)| {
            cross(s, t, p) == 0
                && (s.0.min(t.0)..=s.0.max(t.0)).contains(&p.0)
                && (s.1.min(t.1)..=s.1.max(t.1)).contains(&p.1)
        };
        let mut points: Vec<Vertex> = Vec::new();
        points.extend([a, b].into_iter().filter(|&p| on(p, (c, d))));
        points.extend([c, d].into_iter().filter(|&p| on(p, (a, b))));
        points.sort_unstable();
        points.dedup();
        let proper = cross(a, b, c).signum() * cross(a, b, d).signum() < 0
            && cross(c, d, a).signum() * cross(c, d, b).signum() < 0;
        if proper { 2 } else { points.len() }
    }
}
