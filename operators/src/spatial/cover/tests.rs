//! Each kind of place, what the shapes say of it, and that what is forgotten is room for what comes.

use model::Shape;

use super::*;

const AT: Coord = Coord { lon: 33_792_000, lat: 65_244_000 };
/// Two that cover the cell, one within it, one across its corner.
const RADII_M: [f64; 4] = [50_000.0, 60_000.0, 200.0, 900.0];
const LARGE: ShapeSlot = 0;
const LARGER: ShapeSlot = 1;
const SMALL: ShapeSlot = 2;
const CORNER: ShapeSlot = 3;

fn shapes() -> Vec<Option<Arc<PreparedShape>>> {
    let rect = cell_rect(AT);
    let middle = leaf_middle(&rect, LEAVES / 2 + 8);
    let corner = Coord { lon: rect.min_lon as i32, lat: rect.min_lat as i32 };
    let circle = |(centre, radius_m)| Shape::Circle { centre, radius_m };
    let circles = [middle, middle, middle, corner].into_iter().zip(RADII_M).map(circle);
    circles.map(|shape| Some(Arc::new(PreparedShape::new(&shape)))).collect()
}

fn leaf_middle(cell: &Rect, index: usize) -> Coord {
    let leaf = leaf_rect(cell, index);
    Coord { lon: (leaf.min_lon + (1 << 12)) as i32, lat: (leaf.min_lat + (1 << 12)) as i32 }
}

fn listed(cover: &Cover, at: Coord) -> Vec<Listed> {
    match cover.leaf(cover.cell(at).unwrap(), at).meaning() {
        Meaning::One(listed) => vec![listed],
        Meaning::List(number) => cover.list(number).to_vec(),
        Meaning::Leaves(_) => panic!("a leaf has no leaves"),
    }
}

fn certain(slots: &[ShapeSlot]) -> Vec<Listed> {
    slots.iter().map(|&slot| Listed::new(slot, true)).collect()
}

/// Fills the cell, checks invariants 1 and 2 at the corners and in the middle of each of its leaves, and gives
/// what is listed in each.
fn fill(cover: &mut Cover, slots: &[ShapeSlot]) -> Vec<Vec<Listed>> {
    let shapes = shapes();
    let rect = cell_rect(AT);
    cover.fill(AT, slots, &shapes);
    let of_leaf = |index| {
        let of_middle = listed(cover, leaf_middle(&rect, index));
        let leaf = leaf_rect(&rect, index);
        for (lon, lat) in [(0, 0), (0, 8191), (8191, 0), (8191, 8191), (4096, 4096)] {
            let at = Coord { lon: (leaf.min_lon + lon) as i32, lat: (leaf.min_lat + lat) as i32 };
            assert_eq!(listed(cover, at), of_middle, "a leaf lists the same in all of it");
            for &slot in slots {
                let covers = shapes[slot as usize].as_ref().unwrap().covers(at);
                let entry = of_middle.iter().find(|listed| listed.slot() == slot);
                assert!(entry.is_some() || !covers, "{slot} is not listed in leaf {index}");
                assert!(entry.is_none_or(|listed| !listed.is_certain()) || covers, "{slot} in leaf {index}");
            }
        }
        of_middle
    };
    (0..LEAVES).map(of_leaf).collect()
}

#[test]
fn a_cell_without_edges_has_one_code() {
    for slots in [&[][..], &[LARGE], &[LARGE, LARGER]] {
        let mut cover = Cover::default();
        let of_leaves = fill(&mut cover, slots);
        assert!(of_leaves.iter().all(|listed| *listed == certain(slots)));
        assert!(cover.leaves.is_empty(), "{slots:?}");
        assert_eq!(cover.lists.len() - 1, slots.len() / 2, "a list only where there is more than one");
    }
}

#[test]
fn leaves_list_what_the_whole_cell_does_and_more() {
    for everywhere in [&[][..], &[LARGE], &[LARGE, LARGER]] {
        let mut cover = Cover::default();
        let of_leaves = fill(&mut cover, &[everywhere, &[SMALL, CORNER]].concat());
        let how_many = |more: &[Listed]| {
            let expected = [&certain(everywhere), more].concat();
            of_leaves.iter().filter(|listed| **listed == expected).count()
        };
        // Numbers of leaves that are about 90 m wide, of circles of 200 m and of a quarter of one of 900 m.
        let (yes, no) = (|slot| Listed::new(slot, true), |slot| Listed::new(slot, false));
        assert!((60..220).contains(&how_many(&[])), "{}", how_many(&[]));
        assert!(how_many(&[yes(SMALL)]) + how_many(&[yes(SMALL), yes(CORNER)]) > 0);
        assert!(how_many(&[no(SMALL)]) > 0 && how_many(&[no(CORNER)]) > 0 && how_many(&[yes(CORNER)]) > 20);
        let leaves = &cover.leaves[0];
        assert_eq!(leaves.codes.len(), LEAVES - how_many(&[]), "a code only where more is listed");
    }
}

#[test]
fn what_is_forgotten_is_room_for_what_comes() {
    let all = [LARGE, LARGER, SMALL, CORNER];
    let mut cover = Cover::default();
    let first = fill(&mut cover, &all);
    let (bytes, lists) = (cover.bytes, cover.lists.len());
    assert!(bytes > 0 && lists > 3);
    let mut epoch = cover.epoch();
    for _ in 0..3 {
        cover.forget(&cell_rect(AT));
        assert!(cover.cell(AT).is_none() && cover.bytes == 0);
        assert!(cover.epoch() != epoch, "what was given before is not good any more");
        epoch = cover.epoch();
        assert_eq!(fill(&mut cover, &all), first);
        assert_eq!((cover.bytes, cover.lists.len(), cover.leaves.len()), (bytes, lists, 1));
        assert_eq!(cover.epoch(), epoch, "filling forgets nothing");
    }
}

#[test]
fn a_full_cover_begins_anew() {
    let all = [LARGE, LARGER, SMALL, CORNER];
    let mut cover = Cover::default();
    let first = fill(&mut cover, &all);
    let epoch = cover.epoch();
    cover.make_room();
    assert!(cover.cell(AT).is_some() && cover.epoch() == epoch, "there is room");
    cover.bytes = MAX_BYTES;
    cover.make_room();
    assert!(cover.cell(AT).is_none() && cover.epoch() != epoch);
    assert_eq!((cover.bytes, cover.leaves.len(), cover.lists.len()), (0, 0, 1));
    assert_eq!(fill(&mut cover, &all), first);
}
