//! How a vehicle moves at a fix, as integers: what is compared with limits.

use serde::{Deserialize, Serialize};

use crate::Position;

/// Unknown, off, on.
const IGNITIONS: u32 = 3;

/// Speed and ignition of a fix, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Motion {
    /// Speed in tenths of km/h; `None`: unknown.
    pub speed_dkmh: Option<u16>,
    /// Whether the engine is on; `None`: unknown.
    pub ignition: Option<bool>,
}

impl Motion {
    /// That of a position. The speed is rounded to 0.1 km/h, half away from zero.
    #[must_use]
    pub fn of(position: &Position) -> Motion {
        let is_speed = |speed: &f64| speed.is_finite() && *speed >= 0.0;
        // What is too fast for 16 bits is cut to what they hold; sources let nothing over 300 km/h pass.
        let tenths = |speed: f64| (speed * 10.0).round() as u16;
        Motion { speed_dkmh: position.speed_kmh.filter(is_speed).map(tenths), ignition: position.ignition }
    }

    /// In one number, the smaller the less there is to say; 0 where nothing is known.
    #[must_use]
    pub fn code(self) -> u32 {
        let speed = self.speed_dkmh.map_or(0, |dkmh| u32::from(dkmh) + 1);
        let ignition = self.ignition.map_or(0, |is_on| 1 + u32::from(is_on));
        speed * IGNITIONS + ignition
    }

    /// That of a [code](Motion::code).
    #[must_use]
    pub fn of_code(code: u32) -> Motion {
        Motion {
            speed_dkmh: (code / IGNITIONS).checked_sub(1).map(|dkmh| dkmh as u16),
            ignition: (code % IGNITIONS).checked_sub(1).map(|is_on| is_on == 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_rounded_half_away_from_zero() {
        let of = |speed_kmh: f64| {
            let position = Position { speed_kmh: Some(speed_kmh), ..Position::default() };
            Motion::of(&position).speed_dkmh
        };
        for (speed_kmh, tenths) in [
            (0.0, Some(0)),
            (-0.0, Some(0)),
            (0.049, Some(0)),
            (0.05, Some(1)),
            (60.0, Some(600)),
            (60.04, Some(600)),
            (60.05, Some(601)),
            (299.99, Some(3000)),
            (1e9, Some(u16::MAX)),
            (-0.1, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(of(speed_kmh), tenths, "{speed_kmh}");
        }
        assert_eq!(Motion::of(&Position::default()), Motion::default());
        for speed_dkmh in [None, Some(0), Some(605), Some(u16::MAX)] {
            for ignition in [None, Some(false), Some(true)] {
                let motion = Motion { speed_dkmh, ignition };
                assert_eq!(Motion::of_code(motion.code()), motion);
            }
        }
        assert_eq!(Motion::default().code(), 0);
        let on = Position { ignition: Some(true), ..Position::default() };
        assert_eq!(Motion::of(&on), Motion { speed_dkmh: None, ignition: Some(true) });
    }
}
