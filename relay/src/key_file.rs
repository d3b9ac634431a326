//! The relay key in a file, which may be replaced while the relay runs.

use std::path::PathBuf;
use std::time::Duration;

use burgee::Key;
use tokio::sync::watch;

use crate::config::relay_key;

/// How often the file is read.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// A file that is longer is something else.
const FILE_BYTES_MAX: usize = 4096;

/// Reads the file again and again, and hands a new key on. What is no key
/// changes nothing: a half-written file is whole at the next look.
pub(crate) async fn follow(path: PathBuf, key: watch::Sender<Key>) {
    let mut last_text = None;
    loop {
        tokio::time::sleep(READ_INTERVAL).await;
        let text = match tokio::fs::read_to_string(&path).await {
            Ok(text) if text.len() <= FILE_BYTES_MAX => text,
            // Away for a moment while it is replaced.
            _ => continue,
        };
        if last_text.as_ref() == Some(&text) {
            continue;
        }
        match relay_key(&text) {
            Ok(new) => {
                let changed = key.send_if_modified(|key| {
                    let changed = *key != new;
                    *key = new;
                    changed
                });
                if changed {
                    tracing::info!(file = %path.display(), "the relay key was replaced");
                }
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "keeping the key that is used");
            }
        }
        last_text = Some(text);
    }
}

#[cfg(test)]
mod tests {
    use burgee_hub::credential::{Kind, generate};

    use super::*;

    fn key(random: u8) -> String {
        generate(Kind::Relay, [random; 32]).expose().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_key_is_handed_on_and_garbage_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (sender, mut keys) = watch::channel(Key::new(&key(1)).unwrap());
        std::fs::write(file.path(), "half of a ke").unwrap();
        let following = tokio::spawn(follow(file.path().to_owned(), sender));
        let unchanged = tokio::time::timeout(READ_INTERVAL * 3, keys.changed()).await;
        assert!(unchanged.is_err());
        std::fs::write(file.path(), key(2)).unwrap();
        keys.changed().await.unwrap();
        assert_eq!(*keys.borrow(), Key::new(&key(2)).unwrap());
        following.abort();
    }
}
