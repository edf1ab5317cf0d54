//! Tracks, current locations and searches, against plain recomputations.

use super::*;
use model::{Position, geodesic_m};

fn fix(vehicle: &str, seq: u64, time: i64, lon: f64, lat: f64) -> Fix {
    Fix {
        vehicle_id: vehicle.into(),
        spelling: None,
        seq,
        at: Coord::from_degrees(lon, lat).unwrap(),
        position: Position { event_time: TimeMs(time), lon, lat, ..Position::default() },
        received: TimeMs(time + 1),
    }
}

fn location(trucks: &Trucks, vehicle: &str) -> Option<u64> {
    trucks.get(vehicle).unwrap().location.map(|fix| fix.seq)
}

#[test]
fn the_current_location_is_the_newest_good_fix_by_event_time() {
    let mut trucks = Trucks::new(1000);
    let id: Arc<str> = "T1".into();
    for (seq, time) in [(1, 100), (2, 300), (3, 200)] {
        trucks.add_fix(&fix("T1", seq, time, 1.0, 2.0), TimeMs(300));
    }
    assert_eq!(location(&trucks, "T1"), Some(2), "a late fix does not move the truck");
    trucks.flag_jump(&id, TimeMs(300), 2, true);
    assert_eq!(location(&trucks, "T1"), Some(3));
    trucks.flag_jump(&id, TimeMs(300), 2, false);
    assert_eq!(location(&trucks, "T1"), Some(2));
    // Another position for the same time: the later arrival counts, and the flags of the old one do not.
    trucks.add_fix(&fix("T1", 9, 300, 5.0, 5.0), TimeMs(301));
    trucks.flag_jump(&id, TimeMs(300), 2, true);
    assert_eq!(location(&trucks, "T1"), Some(9));
    trucks.add_fix(&fix("T1", 8, 300, 6.0, 6.0), TimeMs(301));
    assert_eq!(location(&trucks, "T1"), Some(9), "an earlier arrival does not");
}

#[test]
fn tracks_are_cut_behind_the_instant_but_the_location_stays() {
    let mut trucks = Trucks::new(1000);
    for seq in 1..=50 {
        trucks.add_fix(&fix("T1", seq, seq as i64 * 100, 1.0, 2.0), TimeMs(seq as i64 * 100));
        trucks.trim(TimeMs(seq as i64 * 100));
    }
    let all = (TimeMs(i64::MIN), TimeMs(i64::MAX));
    let times = |trucks: &Trucks| {
        let page = trucks.track("T1", all, None, 1000).unwrap();
        page.rows.iter().map(|fix| fix.event_time.0).collect::<Vec<_>>()
    };
    assert_eq!(times(&trucks), (40..=50).map(|n| n * 100).collect::<Vec<_>>());
    trucks.add_fix(&fix("T1", 60, 100, 1.0, 2.0), TimeMs(5000));
    assert_eq!(times(&trucks).first(), Some(&4000), "too old to be kept");
    trucks.trim(TimeMs(1_000_000));
    assert_eq!(times(&trucks), [5000], "swept though nothing came of it");
    assert_eq!(location(&trucks, "T1"), Some(50));
}

#[test]
fn track_pages_join_without_gaps() {
    let mut trucks = Trucks::new(i64::MAX);
    for n in 0..25_u64 {
        let time = ((n * 7) % 25) as i64;
        trucks.add_fix(&fix("T1", n + 1, time, 1.0, 2.0), TimeMs(100));
    }
    let (mut times, mut after) = (Vec::new(), None);
    loop {
        let page = trucks.track("T1", (TimeMs(3), TimeMs(21)), after, 4).unwrap();
        times.extend(page.rows.iter().map(|fix| fix.event_time.0));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(times, (3..21).collect::<Vec<_>>());
    assert!(trucks.track("T2", (TimeMs(0), TimeMs(1)), None, 4).is_none());
}

#[test]
fn presences_come_and_go_in_any_order_within_a_tick() {
    let mut trucks = Trucks::new(1000);
    let (id, yard): (Arc<str>, Arc<str>) = ("T1".into(), "yard".into());
    trucks.add_fix(&fix("T1", 1, 10, 1.0, 2.0), TimeMs(10));
    trucks.set_present(&id, &yard, TimeMs(10), true);
    // A correction of the beginning: the new row sorts before the old one.
    trucks.set_present(&id, &yard, TimeMs(8), true);
    trucks.set_present(&id, &yard, TimeMs(10), false);
    assert_eq!(trucks.get("T1").unwrap().fences, [(yard.clone(), TimeMs(8))]);
    trucks.set_present(&id, &yard, TimeMs(8), false);
    assert!(trucks.get("T1").unwrap().fences.is_empty());
}

/// A generator of numbers that look random, the same each time (splitmix64).
fn scattered(n: u64) -> f64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as f64 / u64::MAX as f64
}

#[test]
fn near_finds_what_the_geodesic_finds() {
    let mut trucks = Trucks::new(i64::MAX);
    let mut places = Vec::new();
    for n in 0..3000_u64 {
        // A third each: around the world, across the antimeridian, around the pole.
        let (u, v) = (scattered(2 * n), scattered(2 * n + 1));
        let (lon, lat) = match n % 3 {
            0 => (u * 360.0 - 180.0, v * 180.0 - 90.0),
            1 => (if u < 0.5 { 180.0 - u } else { -180.5 + u }, v - 0.5),
            _ => (u * 360.0 - 180.0, 90.0 - v / 10.0),
        };
        let id = format!("T{n}");
        trucks.add_fix(&fix(&id, n + 1, 1, lon, lat), TimeMs(1));
        places.push((id, Coord::from_degrees(lon, lat).unwrap()));
    }
    let centres = [(180.0, 0.0), (-179.9, 0.1), (0.0, 90.0), (3.4, 6.5), (20.0, -89.9)];
    for (lon, lat) in centres {
        let centre = Coord::from_degrees(lon, lat).unwrap();
        for radius_m in [30.0, 5_000.0, 100_000.0, 9_000_000.0, 21_000_000.0] {
            let mut expected: Vec<(f64, String)> =
                places.iter().map(|(id, at)| (geodesic_m(centre, *at), id.clone())).collect();
            expected.retain(|(distance_m, _)| *distance_m <= radius_m);
            expected.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
            let mut found = Vec::new();
            let mut near = Near { centre, radius_m, limit: 100, after: None };
            loop {
                let page = near.page(trucks.candidates(&near));
                found.extend(page.rows.into_iter().map(|(d, truck)| (d, truck.vehicle_id.to_string())));
                near.after = page.next;
                if near.after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{lon} {lat} {radius_m}");
        }
    }
}

#[test]
fn a_page_of_a_wide_search_needs_few_geodesics() {
    let mut trucks = Trucks::new(i64::MAX);
    for n in 0..5000_u64 {
        let (lon, lat) = (3.0 + scattered(2 * n), 6.0 + scattered(2 * n + 1));
        trucks.add_fix(&fix(&format!("T{n}"), n + 1, 1, lon, lat), TimeMs(1));
    }
    let centre = Coord::from_degrees(3.5, 6.5).unwrap();
    let near = Near { centre, radius_m: 1_000_000.0, limit: 100, after: None };
    let candidates = trucks.candidates(&near).len();
    assert!((101..150).contains(&candidates), "{candidates}");
}

#[test]
fn the_spelling_is_the_newest_that_came() {
    let mut trucks = Trucks::new(1000);
    let mut add = |seq: u64, spelling: Option<&str>| {
        let spelled = Fix { spelling: spelling.map(Into::into), ..fix("T1", seq, seq as i64, 1.0, 2.0) };
        trucks.add_fix(&spelled, TimeMs(10));
        trucks.get("T1").unwrap().spelling.clone()
    };
    assert_eq!(add(1, None).as_deref(), None);
    assert_eq!(add(2, Some("t 1")).as_deref(), Some("t 1"));
    assert_eq!(add(3, Some("T-1")).as_deref(), Some("T-1"));
    assert_eq!(add(4, None).as_deref(), Some("T-1"), "a record without one takes nothing back");
}

#[test]
fn a_track_is_bounded_however_fast_it_grows() {
    let mut trucks = Trucks::new(i64::MAX);
    let count = MAX_TRACK_FIXES + 5;
    for n in 1..=count {
        trucks.add_fix(&fix("T1", n as u64, n as i64, 1.0, 2.0), TimeMs(count as i64));
    }
    trucks.trim(TimeMs(count as i64));
    let all = trucks.track("T1", (TimeMs(i64::MIN), TimeMs(i64::MAX)), None, usize::MAX).unwrap().rows;
    assert_eq!((all.len(), all[0].event_time), (MAX_TRACK_FIXES, TimeMs(6)), "the oldest went");
}
