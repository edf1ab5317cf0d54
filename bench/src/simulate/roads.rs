//! The road network and the way of one truck over it.

use super::lagos::{CITY_CENTRE, CITY_RADIUS_M, JUNCTIONS, ROADS, TRAFFIC_KMH};
use super::plane::Point;
use super::prng::{Prng, key, mix};

/// A moving truck reports this often, seconds.
pub(crate) const STEP_S: u32 = 30;
/// No truck is faster, km/h.
const MAX_KMH: f64 = 70.0;
/// A truck that moves at all is not slower, km/h.
const MIN_KMH: f64 = 8.0;
/// Roads are cut into pieces about this long, so that they bend and every place is near a node.
const PIECE_M: f64 = 4_000.0;
/// Nearer than this, trucks take the direct way.
const DIRECT_M: f64 = 1_500.0;

/// The nodes of the network and the next node on the shortest way between any two.
#[derive(Clone, Debug)]
pub(crate) struct Roads {
    nodes: Vec<Point>,
    pieces: Vec<(u16, u16)>,
    next: Vec<u16>,
}

impl Roads {
    /// The network of the map.
    #[must_use]
    pub(crate) fn new() -> Roads {
        let mut nodes: Vec<Point> =
            JUNCTIONS.iter().map(|&(lon, lat)| Point::from_degrees(lon, lat)).collect();
        let mut pieces = Vec::new();
        for (road, &(from, to)) in ROADS.iter().enumerate() {
            let (start, end) = (nodes[usize::from(from)], nodes[usize::from(to)]);
            let length_m = start.distance_m(end);
            let count = (length_m / PIECE_M).ceil().max(1.0) as u32;
            let bend_m = Prng::new(mix(road as u64)).between(-0.06, 0.06) * length_m;
            let (across_x, across_y) = (-(end.y_m - start.y_m) / length_m, (end.x_m - start.x_m) / length_m);
            let mut before = from;
            for piece in 1..count {
                let part = f64::from(piece) / f64::from(count);
                let off_m = bend_m * 4.0 * part * (1.0 - part);
                nodes.push(start.towards(end, part).moved(across_x * off_m, across_y * off_m));
                let node = (nodes.len() - 1) as u16;
                pieces.push((before, node));
                before = node;
            }
            pieces.push((before, to));
        }
        let next = shortest_ways(&nodes, &pieces);
        Roads { nodes, pieces, next }
    }

    /// The node nearest to a point.
    #[must_use]
    pub(crate) fn nearest(&self, point: Point) -> u16 {
        let squared = |node: &Point| (node.x_m - point.x_m).powi(2) + (node.y_m - point.y_m).powi(2);
        let mut best = (f64::INFINITY, 0);
        for (index, node) in self.nodes.iter().enumerate() {
            let distance = squared(node);
            if distance < best.0 {
                best = (distance, index as u16);
            }
        }
        best.1
    }

    /// The length of all roads, metres.
    #[must_use]
    pub(crate) fn length_m(&self) -> f64 {
        self.pieces.iter().map(|&piece| self.piece_length_m(piece)).sum()
    }

    /// The point so many metres along all roads, `off_m` beside it.
    #[must_use]
    pub(crate) fn beside(&self, along_m: f64, off_m: f64) -> Point {
        let mut left_m = along_m;
        for &piece in &self.pieces {
            let length_m = self.piece_length_m(piece);
            if left_m <= length_m && length_m > 0.0 {
                let (a, b) = (self.nodes[usize::from(piece.0)], self.nodes[usize::from(piece.1)]);
                let on_road = a.towards(b, left_m / length_m);
                let (across_x, across_y) = (-(b.y_m - a.y_m) / length_m, (b.x_m - a.x_m) / length_m);
                return on_road.moved(across_x * off_m, across_y * off_m);
            }
            left_m -= length_m;
        }
        self.nodes[0].moved(off_m, 0.0)
    }

    fn piece_length_m(&self, (from, to): (u16, u16)) -> f64 {
        self.nodes[usize::from(from)].distance_m(self.nodes[usize::from(to)])
    }
}

/// Floyd and Warshall: for every pair of nodes the one that comes next.
fn shortest_ways(nodes: &[Point], pieces: &[(u16, u16)]) -> Vec<u16> {
    let count = nodes.len();
    let mut distance = vec![f64::INFINITY; count * count];
    let mut next = vec![0_u16; count * count];
    for node in 0..count {
        distance[node * count + node] = 0.0;
        next[node * count + node] = node as u16;
    }
    for &(from, to) in pieces {
        let length_m = nodes[usize::from(from)].distance_m(nodes[usize::from(to)]);
        for (a, b) in [(from, to), (to, from)] {
            let cell = usize::from(a) * count + usize::from(b);
            distance[cell] = length_m;
            next[cell] = b;
        }
    }
    for via in 0..count {
        for from in 0..count {
            let to_via = distance[from * count + via];
            if to_via.is_infinite() {
                continue;
            }
            for to in 0..count {
                let through = to_via + distance[via * count + to];
                if through < distance[from * count + to] {
                    distance[from * count + to] = through;
                    next[from * count + to] = next[from * count + via];
                }
            }
        }
    }
    next
}

/// An end of a drive: the exact point, and the node of the network that is nearest to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct End {
    pub at: Point,
    pub node: u16,
}

/// A truck under way. Stepping it twice from the same start gives the same drive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drive {
    key: u64,
    to: End,
    /// The node that the present leg leads to; `LAST_LEG` when it leads to the end.
    leg_node: u16,
    from: Point,
    leg_end: Point,
    leg_m: f64,
    along_m: f64,
    clock_s: u32,
    in_city: bool,
    arrived: bool,
}

const LAST_LEG: u16 = u16::MAX;

impl Drive {
    /// Leaves `from` for `to` at a second of the local day.
    #[must_use]
    pub(crate) fn new(roads: &Roads, drive_key: u64, from: End, to: End, depart_s: u32) -> Drive {
        let direct = from.node == to.node || from.at.distance_m(to.at) < DIRECT_M;
        let mut drive = Drive {
            key: drive_key,
            to,
            leg_node: if direct { LAST_LEG } else { from.node },
            from: from.at,
            clock_s: depart_s,
            ..Drive::default()
        };
        drive.begin_leg(roads);
        drive
    }

    /// Where the truck is.
    #[must_use]
    pub(crate) fn position(&self) -> Point {
        if self.leg_m > 0.0 {
            self.from.towards(self.leg_end, self.along_m / self.leg_m)
        } else {
            self.leg_end
        }
    }

    /// Where it is heading, degrees.
    #[must_use]
    pub(crate) fn heading(&self) -> f64 {
        self.from.heading_to(self.leg_end)
    }

    /// Drives on for [`STEP_S`] and says how fast, km/h; `None` once it has arrived.
    pub(crate) fn advance(&mut self, roads: &Roads) -> Option<f64> {
        if self.arrived {
            return None;
        }
        let speed_kmh = self.speed_kmh();
        self.clock_s += STEP_S;
        let mut left_m = speed_kmh / 3.6 * f64::from(STEP_S);
        loop {
            if self.along_m + left_m < self.leg_m {
                self.along_m += left_m;
                return Some(speed_kmh);
            }
            left_m -= self.leg_m - self.along_m;
            if self.leg_node == LAST_LEG {
                self.along_m = self.leg_m;
                self.arrived = true;
                return Some(speed_kmh);
            }
            let node = self.leg_node;
            self.from = self.leg_end;
            self.leg_node = if node == self.to.node {
                LAST_LEG
            } else {
                roads.next[usize::from(node) * roads.nodes.len() + usize::from(self.to.node)]
            };
            self.begin_leg(roads);
        }
    }

    /// When the drive arrives if that is not after `latest_s`.
    #[must_use]
    pub(crate) fn arrival_s(mut self, roads: &Roads, latest_s: u32) -> Option<u32> {
        while !self.arrived {
            if self.clock_s > latest_s {
                return None;
            }
            self.advance(roads);
        }
        (self.clock_s <= latest_s).then_some(self.clock_s)
    }

    fn begin_leg(&mut self, roads: &Roads) {
        self.leg_end =
            if self.leg_node == LAST_LEG { self.to.at } else { roads.nodes[usize::from(self.leg_node)] };
        self.leg_m = self.from.distance_m(self.leg_end);
        self.along_m = 0.0;
        let centre = Point::from_degrees(CITY_CENTRE.0, CITY_CENTRE.1);
        self.in_city = self.leg_end.distance_m(centre) < CITY_RADIUS_M;
    }

    fn speed_kmh(&self) -> f64 {
        let chance = key(self.key, u64::from(self.clock_s));
        let (city, outside) = TRAFFIC_KMH[(self.clock_s / 3600 % 24) as usize];
        let (usual, stops_in_256) = if self.in_city { (city, 26) } else { (outside, 4) };
        if chance & 0xff < stops_in_256 {
            return 0.0;
        }
        let luck = ((chance >> 8) & 0xffff) as f64 / 65_536.0;
        (usual * (0.6 + 0.8 * luck)).clamp(MIN_KMH, MAX_KMH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_reaches_every_other() {
        let roads = Roads::new();
        let count = roads.nodes.len();
        for from in 0..count {
            for to in 0..count {
                let (mut at, mut hops) = (from, 0);
                while at != to {
                    at = usize::from(roads.next[at * count + to]);
                    hops += 1;
                    assert!(hops <= count, "no way from node {from} to node {to}");
                }
            }
        }
    }

    #[test]
    fn a_drive_arrives_where_and_when_it_said() {
        let roads = Roads::new();
        let end = |lon, lat| {
            let at = Point::from_degrees(lon, lat);
            End { at, node: roads.nearest(at) }
        };
        let mut drive = Drive::new(&roads, 7, end(3.30, 6.46), end(3.88, 7.36), 6 * 3600);
        let said = drive.arrival_s(&roads, 86_400).unwrap();
        assert!(drive.arrival_s(&roads, said - STEP_S).is_none());
        let mut before = drive.position();
        let mut steps = 0;
        while let Some(speed_kmh) = drive.advance(&roads) {
            assert!((0.0..=MAX_KMH).contains(&speed_kmh));
            let moved_m = before.distance_m(drive.position());
            assert!(moved_m <= speed_kmh / 3.6 * f64::from(STEP_S) + 1e-6);
            before = drive.position();
            steps += 1;
        }
        assert_eq!(said, 6 * 3600 + steps * STEP_S);
        assert!(before.distance_m(end(3.88, 7.36).at) < 1e-6);
        assert!((2 * 3600..7 * 3600).contains(&(said - 6 * 3600)), "{said}");
    }
}
