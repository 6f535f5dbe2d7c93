//! Looking for what a guest left to the next one in its slot.
//!
//! The pool has a single slot with a single memory, so the guest that looks is where the probe was.

use crate::probe::{Component, all};
use crate::stage::{ANNAS, Size, Stage};

/// The guest that looks.
const LOOKS: &str = "residue";

pub(crate) async fn nothing_is_left(fast_reset: bool) {
    let probes = all();
    // Those that leave the mark: compiled guests that answer, or fail to.
    let chosen: Vec<_> = probes
        .iter()
        .filter(|probe| probe.expected.install.is_none() && probe.folder.join("guest.rs").exists())
        .filter(|probe| !matches!(probe.expected.component, Some(Component::Core)))
        .collect();
    assert!(
        chosen.iter().any(|probe| probe.id == LOOKS),
        "the guest `{LOOKS}` is missing"
    );
    let stage = Stage::start(&chosen, Size::OneSlot { fast_reset }).await;
    let look = async |path: &str| stage.anna.ask(&stage.page(ANNAS, LOOKS, path), None).await.text;
    let planted = look("planted").await;
    assert!(
        !planted.contains("marks 0 ") && planted.contains("marks "),
        "the mark is not found where it is"
    );
    for probe in &chosen {
        let answer = stage.anna.ask(&stage.page(ANNAS, &probe.id, ""), None).await;
        assert_ne!(answer.status, 503, "{} was not called", probe.id);
        let found = look("").await;
        assert!(
            found.contains("marks 0 dirty 0"),
            "{} left something (fast reset: {fast_reset}): {}",
            probe.id,
            found.split_once("marks").map_or("no answer", |(_, text)| text
                .split('<')
                .next()
                .unwrap_or_default())
        );
    }
    stage.end().await;
}
