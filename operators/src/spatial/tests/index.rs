//! [`FenceIndex`] against asking every shape, with edits between the questions: a cached cell that an edit
//! should have emptied would show.

use std::sync::Arc;

use model::{Coord, Ring, Shape};
use proptest::prelude::*;
use proptest::sample::Index;

use super::{Aim, Grid, POLE, aims, circles, corridors, grids, lines_on, marks, polygons, polygons_on};
use crate::spatial::{FenceIndex, Looked, PreparedShape, ShapeSlot};

#[derive(Clone, Debug)]
enum Step {
    Insert(Shape),
    Remove(Index),
}

/// A shape that is in the index, and its marks.
type Live = (ShapeSlot, Arc<PreparedShape>, Vec<(i64, i64)>);

/// What is in the index, kept apart from it.
#[derive(Default)]
struct Model {
    index: FenceIndex,
    live: Vec<Live>,
}

impl Model {
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Insert(shape) => {
                let prepared = Arc::new(PreparedShape::new(shape));
                let slot = self.index.insert(prepared.clone());
                assert!(self.live.iter().all(|(other, ..)| *other != slot), "a slot is given out twice");
                self.live.push((slot, prepared, marks(shape)));
            }
            Step::Remove(pick) if !self.live.is_empty() => {
                let (slot, prepared, _) = self.live.swap_remove(pick.index(self.live.len()));
                let removed = self.index.remove(slot).unwrap();
                assert!(Arc::ptr_eq(&removed, &prepared));
                assert!(self.index.remove(slot).is_none(), "a shape is taken away once");
            }
            Step::Remove(_) => {}
        }
        assert_eq!(self.index.len(), self.live.len());
    }

    /// Asks about a position; where it was looked up before, perhaps before an edit, by that too.
    fn check(&mut self, at: Coord, looked: Option<Looked>) -> Result<(), TestCaseError> {
        let covering = self.live.iter().filter(|(_, shape, _)| shape.covers(at));
        let mut expected: Vec<ShapeSlot> = covering.map(|(slot, ..)| *slot).collect();
        expected.sort_unstable();
        let mut found = Vec::new();
        if let Some(looked) = looked {
            self.index.covering_of(looked, at, |slot| found.push(slot));
            found.sort_unstable();
            prop_assert_eq!(&found, &expected, "{:?} looked up before", at);
            found.clear();
        }
        self.index.covering(at, |slot| found.push(slot));
        found.sort_unstable();
        prop_assert_eq!(found, expected, "{:?}", at);
        Ok(())
    }

    fn run(&mut self, steps: &[Step], aims: &[Aim]) -> Result<(), TestCaseError> {
        let mut asked: Vec<Coord> = Vec::new();
        let mut looked = Vec::new();
        for step in steps {
            self.apply(step);
            // The same positions again after every edit, so that their cells are cached: by what was looked up
            // before the edit, and together.
            for (&at, &looked) in asked.iter().zip(&looked) {
                self.check(at, Some(looked))?;
            }
            if let Some((_, _, marks)) = self.live.last() {
                asked.extend(aims.iter().map(|aim| aim.at(marks)));
            }
            self.index.look_up(asked.iter().copied(), &mut looked);
            prop_assert_eq!(looked.len(), asked.len());
            for (&at, &looked) in asked.iter().zip(&looked) {
                self.check(at, Some(looked))?;
            }
        }
        Ok(())
    }
}

fn steps(shapes: impl Strategy<Value = Shape> + 'static) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => shapes.prop_map(Step::Insert),
        1 => any::<Index>().prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 1..14)
}

/// Shapes over a few neighbouring cells of the cover, so that many share one.
fn crowded(grid: Grid) -> impl Strategy<Value = Shape> {
    let circle = (-4_i64..=4, -4_i64..=4, 10.0..3_000.0_f64).prop_map(move |(column, row, radius_m)| {
        Shape::Circle { centre: grid.position((column, row)), radius_m }
    });
    let corridor = (lines_on(grid, false), 10.0..3_000.0_f64)
        .prop_map(|(line, width_m)| Shape::Corridor { line, width_m });
    prop_oneof![2 => polygons_on(grid).boxed(), 1 => circle.boxed(), 1 => corridor.boxed()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn finds_what_asking_every_shape_finds(
        steps in grids(&[3_000, 8_192, 50_000, 131_072]).prop_flat_map(|grid| steps(crowded(grid))),
        aims in aims(12),
    ) {
        Model::default().run(&steps, &aims)?;
    }

    #[test]
    fn finds_shapes_of_any_size_anywhere(
        steps in steps(prop_oneof![polygons().boxed(), circles().boxed(), corridors().boxed()]),
        aims in aims(6),
    ) {
        Model::default().run(&steps, &aims)?;
    }
}

#[test]
fn an_edit_shows_in_a_cell_that_was_asked_before() {
    let at = Coord { lon: 33_792_000, lat: 65_244_000 };
    let circle = |radius_m| Arc::new(PreparedShape::new(&Shape::Circle { centre: at, radius_m }));
    let mut index = FenceIndex::default();
    let covering = |index: &mut FenceIndex| {
        let mut found = Vec::new();
        index.covering(at, |slot| found.push(slot));
        found
    };
    assert!(covering(&mut index).is_empty() && index.is_empty());
    let small = index.insert(circle(50.0));
    assert_eq!(covering(&mut index), [small]);
    // Far larger than what is cached, so that cells are dropped by a look at each.
    let large = index.insert(circle(2_000_000.0));
    let mut both = covering(&mut index);
    both.sort_unstable();
    assert_eq!(both, [small, large]);
    index.remove(large);
    assert_eq!(covering(&mut index), [small]);
    index.remove(small);
    assert!(covering(&mut index).is_empty());
    assert!(index.shape(small).is_none());
}

#[test]
fn shapes_at_the_poles_are_found() {
    // Cells of the cover reach beyond the poles, where there are no distances.
    for pole in [POLE as i32, -POLE as i32] {
        let centre = Coord { lon: 50_000_000, lat: pole - pole.signum() * 1_000 };
        let line = Ring { vertices: vec![(50_000_000, centre.lat.into()), (50_000_001, centre.lat.into())] };
        let mut model = Model::default();
        model.apply(&Step::Insert(Shape::Circle { centre, radius_m: 400.0 }));
        model.apply(&Step::Insert(Shape::Corridor { line, width_m: 800.0 }));
        for lat in [pole, centre.lat, pole - pole.signum() * 20_000, pole - pole.signum() * 60_000] {
            for lon in [-1_800_000_000, -1_000_000_000, 0, 50_000_000] {
                model.check(Coord { lon, lat }, None).unwrap();
            }
        }
        let mut found = 0;
        model.index.covering(Coord { lon: 0, lat: pole }, |_| found += 1);
        assert_eq!(found, 2);
    }
}
