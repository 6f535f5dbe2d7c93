//! Waiting for something with a deadline.

use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(100);
/// How long is waited at most. Generous: a machine that compiles beside the tests is slow.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `look` finds something.
///
/// # Errors
/// When nothing was found within [`PATIENCE`]; `what` says what was waited for.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    until_within(PATIENCE, what, look).await
}

/// Looks until `look` finds something, for a while.
///
/// # Errors
/// When nothing was found in that time, or looking failed.
pub async fn until_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s in vain: {what}", patience.as_secs());
        }
        tokio::time::sleep(EVERY).await;
    }
}
