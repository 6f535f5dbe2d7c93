//! The compile cache: what it gives back is what this host wrote, or nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use portico_runtime::{Approval, CacheConfig, CacheError, Limits, Runtime, RuntimeConfig, StartError};

use super::guest::Guest;
use super::{get, limits};

fn start(directory: &Path, key: u8, limits: Limits) -> Result<Runtime, StartError> {
    let cache = Some(CacheConfig {
        directory: directory.to_owned(),
        key: [key; 32],
    });
    Runtime::new(RuntimeConfig {
        limits,
        cache,
        ..RuntimeConfig::default()
    })
}

/// Installs a guest with a cache and says whether the file in the cache was left as it was.
async fn file_is_kept(directory: &Path, key: u8, limits: Limits) -> bool {
    let before = fs::metadata(only_file(directory)).unwrap().modified().unwrap();
    let runtime = start(directory, key, limits).expect("the runtime starts");
    let plugin = runtime
        .install(Guest::default().build(), &Approval::everything())
        .await
        .expect("it installs");
    assert!(get(&runtime, &plugin).await.is_ok());
    fs::metadata(only_file(directory)).unwrap().modified().unwrap() == before
}

fn only_file(directory: &Path) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

async fn filled() -> tempfile::TempDir {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cache");
    let runtime = start(&directory, 1, limits()).expect("the runtime starts");
    runtime
        .install(Guest::default().build(), &Approval::everything())
        .await
        .expect("it installs");
    parent
}

#[tokio::test]
async fn a_compiled_component_is_taken_from_the_cache() {
    let parent = filled().await;
    assert!(file_is_kept(&parent.path().join("cache"), 1, limits()).await);
}

#[tokio::test]
async fn a_file_that_was_tampered_with_is_never_loaded_but_made_anew() {
    let parent = filled().await;
    let directory = parent.path().join("cache");
    let file = only_file(&directory);
    let whole = fs::read(&file).unwrap();
    for position in [0, 8, 20, 40, whole.len() / 2, whole.len() - 1] {
        let mut tampered = whole.clone();
        tampered[position] ^= 1;
        fs::write(&file, tampered).unwrap();
        assert!(!file_is_kept(&directory, 1, limits()).await, "byte {position}");
    }
    for length in [0, 7, 8, 39, 40, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        assert!(!file_is_kept(&directory, 1, limits()).await, "length {length}");
    }
}

#[tokio::test]
async fn a_file_of_another_key_or_component_is_not_taken() {
    let parent = filled().await;
    let directory = parent.path().join("cache");
    assert!(!file_is_kept(&directory, 2, limits()).await, "another key");

    // The file of one component under the name of another.
    let other = Guest {
        page_data: r#"{"text":"other"}"#.into(),
        ..Guest::default()
    }
    .build();
    let digest = portico_runtime::Digest::of(&other);
    fs::rename(
        only_file(&directory),
        directory.join(format!("{digest}.compiled")),
    )
    .unwrap();
    let runtime = start(&directory, 2, limits()).expect("the runtime starts");
    let plugin = runtime
        .install(other, &Approval::everything())
        .await
        .expect("it installs");
    let Ok(portico_runtime::bindings::guest::Response::Page(page)) = get(&runtime, &plugin).await else {
        panic!("no page")
    };
    assert_eq!(page.view.data, r#"{"text":"other"}"#);
}

#[tokio::test]
async fn a_directory_that_others_may_enter_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cache");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o750)).unwrap();
    let error = start(&directory, 1, limits()).expect_err("others may read it");
    assert!(
        matches!(error, StartError::Cache(CacheError::NotPrivate(_))),
        "{error:?}"
    );

    let link = parent.path().join("link");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink(&directory, &link).unwrap();
    let error = start(&link, 1, limits()).expect_err("a link may lead elsewhere");
    assert!(
        matches!(error, StartError::Cache(CacheError::NotADirectory(_))),
        "{error:?}"
    );
}
