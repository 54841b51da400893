use std::time::Duration;

/// Between none and as much as this, so that many who wait for one thing do not ask all at once.
pub(super) fn jitter(wait: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness everybody asks at once, which is slower and nothing worse.
    let _ = getrandom::getrandom(&mut byte);
    wait * u32::from(byte[0]) / 255
}
