use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use burgee_evaluator::RulesetState;
use burgee_proto::types::v1::Position;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;

const ENVIRONMENT: &str = "3f2b8c1e-0000-4000-8000-000000000001";

fn held(revision: u64) -> Holding {
    let position = Position { epoch: 1, revision };
    Holding {
        state: RulesetState::new(ENVIRONMENT, position, []),
        resume_token: Bytes::new(),
        with_access_keys: false,
    }
}

fn file() -> (TempDir, SnapshotFile) {
    let folder = TempDir::new().unwrap();
    let file = SnapshotFile::new(folder.path().join("e.snapshot"));
    (folder, file)
}

fn save(file: &SnapshotFile, revision: u64) {
    file.save(&held(revision), SystemTime::now()).unwrap();
}

fn revision(file: &SnapshotFile) -> Option<u64> {
    let snapshot = file.load(Some(ENVIRONMENT))?;
    Some(snapshot.held.state.position().revision)
}

#[test]
fn the_last_one_saved_is_loaded_and_the_one_before_is_kept() {
    let (_folder, file) = file();
    assert_eq!(revision(&file), None);
    save(&file, 1);
    save(&file, 2);
    assert_eq!(revision(&file), Some(2));
    let previous = read(&file.beside("previous"), None).unwrap();
    assert_eq!(previous.held.state.position().revision, 1);
}

#[test]
fn only_the_owner_may_read_it() {
    let (_folder, file) = file();
    save(&file, 1);
    let mode = fs::metadata(file.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_bad_file_is_set_aside_and_the_previous_one_used() {
    let (_folder, file) = file();
    save(&file, 1);
    save(&file, 2);
    fs::write(file.path(), b"not what was written").unwrap();
    assert_eq!(revision(&file), Some(1));
    assert!(!file.path().exists());
    assert_eq!(
        fs::read(file.beside("corrupt")).unwrap(),
        b"not what was written"
    );
    save(&file, 3);
    assert_eq!(revision(&file), Some(3));
}

#[test]
fn a_file_of_another_environment_is_not_used() {
    let (_folder, file) = file();
    save(&file, 1);
    assert!(
        file.load(Some("3f2b8c1e-0000-4000-8000-000000000002"))
            .is_none()
    );
}

/// What a kill leaves behind at each step of a save, one after the other.
#[test]
fn killed_at_any_step_of_a_save_a_complete_one_loads() {
    let (_folder, file) = file();
    save(&file, 1);
    save(&file, 2);
    let mut whole = Vec::new();
    format::write(&mut whole, &held(3), SystemTime::now()).unwrap();
    for length in 0..=whole.len() {
        fs::write(file.beside("new"), &whole[..length]).unwrap();
        assert_eq!(revision(&file), Some(2), "{length} bytes were written");
    }
    fs::rename(file.path(), file.beside("previous")).unwrap();
    assert_eq!(revision(&file), Some(2), "between the two renames");
    fs::rename(file.beside("new"), file.path()).unwrap();
    assert_eq!(revision(&file), Some(3));
}

#[test]
fn two_processes_do_not_write_at_once() {
    let (_folder, file) = file();
    let lock = File::create(file.beside("lock")).unwrap();
    lock.lock().unwrap();
    let refused = file.save(&held(1), SystemTime::now()).unwrap_err();
    assert!(matches!(refused, SaveError::Busy), "{refused}");
    drop(lock);
    save(&file, 1);
}

#[test]
fn removing_leaves_nothing() {
    let (folder, file) = file();
    save(&file, 1);
    save(&file, 2);
    fs::write(file.beside("corrupt"), b"").unwrap();
    file.remove().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    file.remove().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_kept_file_is_written_at_most_every_five_seconds_and_at_the_end() {
    let (_folder, file) = file();
    let (sender, receiver) = watch::channel(None);
    let keeping = tokio::spawn(keep(file.clone(), receiver));
    // The clock is paused: it moves when nothing else can, and a write to disk
    // holds it.
    let wait_for = async |wanted| {
        let started = Instant::now();
        while revision(&file) != Some(wanted) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        started.elapsed()
    };
    sender.send_replace(Some(held(1)));
    assert!(wait_for(1).await < SAVE_INTERVAL);
    sender.send_replace(Some(held(2)));
    let waited = wait_for(2).await;
    assert!(
        waited + Duration::from_millis(100) >= SAVE_INTERVAL,
        "{waited:?}"
    );
    assert!(
        waited <= SAVE_INTERVAL + Duration::from_millis(100),
        "{waited:?}"
    );
    sender.send_replace(Some(held(3)));
    drop(sender);
    keeping.await.unwrap();
    assert_eq!(revision(&file), Some(3));
}

#[tokio::test]
async fn what_came_from_disk_is_not_written_again() {
    let (_folder, file) = file();
    let (sender, receiver) = watch::channel(Some(held(1)));
    let keeping = tokio::spawn(keep(file.clone(), receiver));
    drop(sender);
    keeping.await.unwrap();
    assert_eq!(revision(&file), None);
}

#[tokio::test]
async fn a_disk_that_fails_does_not_hold_up_the_end() {
    let file = SnapshotFile::new("/proc/nowhere/e.snapshot");
    let (sender, receiver) = watch::channel(None);
    let keeping = keep(file, receiver);
    sender.send_replace(Some(held(1)));
    drop(sender);
    tokio::time::timeout(Duration::from_secs(5), keeping)
        .await
        .unwrap();
}

/// Kills a process that does nothing but save, again and again, at any instant.
#[test]
fn killed_with_sigkill_at_any_instant_a_complete_one_loads() {
    const SAVER: &str = "BURGEE_TEST_SAVER";
    const NAME: &str =
        "snapshot_file::tests::killed_with_sigkill_at_any_instant_a_complete_one_loads";
    if let Some(path) = std::env::var_os(SAVER) {
        let file = SnapshotFile::new(path);
        for revision in 1.. {
            save(&file, revision);
        }
    }
    let (_folder, file) = file();
    let mut last = 0;
    for round in 0..25 {
        let mut saver = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env(SAVER, file.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !file.path().exists() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        // Long enough for some saves, and never at the same point of one.
        let instant = Duration::from_micros(1_000 + 1_377 * round);
        let (_sender, never) = std::sync::mpsc::channel::<()>();
        let _elapsed = never.recv_timeout(instant);
        saver.kill().unwrap();
        saver.wait().unwrap();
        let loaded = revision(&file).expect("a complete one");
        assert!(loaded > 0);
        last = last.max(loaded);
        assert!(!file.beside("corrupt").exists(), "round {round}");
    }
    assert!(last > 1, "several were saved");
}
