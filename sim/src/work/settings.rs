//! Changing a configuration in a task.

use std::sync::Arc;

use super::{Broken, Outcome, Worker, copy};
use crate::config::change::Change;
use crate::config::update::carry_out;

/// `qmconfig`.
pub(crate) async fn change(worker: Arc<Worker>, vmid: u32, change: Change) -> Outcome {
    let _guard = worker.flock(vmid).await?;
    let duration = worker.world().durations.config;
    copy::announce_imports(&worker, &change).await?;
    worker.toil(duration).await?;
    let now = worker.sim.clock.seconds();
    let node = worker.node().to_owned();
    let warnings = carry_out(&mut worker.world(), &node, vmid, &change, &worker.upid.user, now)
        .map_err(|failure| Broken(failure.task_text()))?;
    for warning in warnings {
        worker.log(&warning);
    }
    Ok(())
}
