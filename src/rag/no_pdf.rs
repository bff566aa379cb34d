//! In place of `pdf` in builds without the feature of that name: every PDF is skipped, with the reason.

use super::parsed::Pages;

/// Says why a PDF is not read.
///
/// # Errors
///
/// Always.
pub(super) fn read(_: &[u8]) -> Result<Pages, String> {
    Err("this build does not read PDF; build it with the feature `pdf`".to_owned())
}
