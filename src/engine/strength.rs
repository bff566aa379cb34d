//! How strongly an adapter is applied: a scale, and how it is spread over the layers.

use std::fmt;

use super::profile::LayerProfile;

/// A scale with its profile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strength {
    /// What the whole adapter is multiplied by.
    pub scale: f32,
    /// How that varies with depth.
    pub profile: LayerProfile,
}

impl Strength {
    /// The same scale in every layer.
    #[must_use]
    pub const fn flat(scale: f32) -> Self {
        Self {
            scale,
            profile: LayerProfile::FLAT,
        }
    }

    /// Whether what was measured at this strength also stands for `used`: the same profile, at a scale from 0 up to
    /// this one. Scale 0 is the base, whatever the profile.
    #[must_use]
    pub fn covers(&self, used: Self) -> bool {
        used.scale == 0.0
            || (used.profile == self.profile && (0.0..=self.scale).contains(&used.scale))
    }
}

/// `0.8`, or `0.8:lines:0.25`, as the command line takes it.
impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scale)?;
        if !self.profile.is_flat() {
            write!(f, ":{}", self.profile)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_stands_for_less_of_the_same_profile_only() {
        let lines = |scale| Strength {
            scale,
            profile: LayerProfile::lines(0.0).unwrap(),
        };
        let half = Strength::flat(0.5);
        for used in [0.0, 0.25, 0.5] {
            assert!(half.covers(Strength::flat(used)), "{used}");
        }
        for used in [-0.25, 0.75, f32::NAN] {
            assert!(!half.covers(Strength::flat(used)), "{used}");
        }
        assert!(!half.covers(lines(0.25)) && !lines(0.5).covers(Strength::flat(0.25)));
        assert!(lines(0.5).covers(lines(0.25)) && lines(0.5).covers(Strength::flat(0.0)));
        assert_eq!(half.to_string(), "0.5");
        assert_eq!(lines(0.5).to_string(), "0.5:lines:0");
    }
}
