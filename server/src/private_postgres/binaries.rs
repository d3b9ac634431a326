//! Finds `initdb` and `postgres`, of a version that will do.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::cluster::DataDir;
use super::{Error, OLDEST_VERSION};

/// The variable that names the folder, instead of a search.
const FOLDER_VARIABLE: &str = "BURGEE_PG_BIN";

/// Where packages put one folder for each version: what precedes the version, and
/// what follows it. Debian's, and Red Hat's.
const VERSIONED: [(&str, &str); 2] = [("/usr/lib/postgresql/", "/bin"), ("/usr/pgsql-", "/bin")];

/// Where set-up puts them without rights to install packages, here or above.
const TOOLS: &str = ".tools/postgres/bin";

/// A folder with both programs.
#[derive(Debug)]
pub(super) struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// The first folder whose programs run, can be run by `account`, and are of the
    /// version that made the cluster, or new enough for a new one.
    pub(super) fn find(
        folder: Option<&Path>,
        account: &Account,
        made_by: Option<u32>,
        data_dir: &DataDir,
    ) -> Result<Self, Error> {
        let mut looked = String::new();
        for folder in candidates(folder) {
            match unsuitable(&folder, account, made_by) {
                None => return Ok(Self { folder }),
                // Writing to a string cannot fail.
                Some(why) => {
                    let _ = write!(looked, "\n  {}: {why}", folder.display());
                }
            }
        }
        Err(match made_by {
            Some(made_by) => Error::OtherVersion {
                cluster: data_dir.path().to_owned(),
                made_by,
                looked,
            },
            None => Error::NotFound { looked },
        })
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }
}

/// The folders to look at. One that is named is the only one.
fn candidates(named: Option<&Path>) -> Vec<PathBuf> {
    let named = named.map(Path::to_owned);
    let named = named.or_else(|| env::var_os(FOLDER_VARIABLE).map(PathBuf::from));
    if let Some(folder) = named {
        return vec![folder];
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).filter(|folder| folder.join("initdb").exists());
    let here = env::current_dir().unwrap_or_default();
    let tools = here.ancestors().map(|folder| folder.join(TOOLS));
    on_path
        .chain(
            VERSIONED
                .iter()
                .flat_map(|(before, after)| versioned(before, after)),
        )
        .chain(tools.filter(|folder| folder.exists()))
        .collect()
}

/// The folders `before<number>after`, greatest number first.
fn versioned(before: &str, after: &str) -> Vec<PathBuf> {
    let (parent, prefix) = before.rsplit_once('/').unwrap_or_default();
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut versions: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_prefix(prefix)?
                .parse()
                .ok()
        })
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions
        .into_iter()
        .map(|version| PathBuf::from(format!("{before}{version}{after}")))
        .collect()
}

/// Why the programs in `folder` will not do.
fn unsuitable(folder: &Path, account: &Account, made_by: Option<u32>) -> Option<String> {
    for program in ["initdb", "postgres"] {
        if !account.may_run(&folder.join(program)) {
            return Some(format!(
                "{program} cannot be run by the user {}",
                account.name
            ));
        }
    }
    let asked = Command::new(folder.join("postgres"))
        .arg("--version")
        .output();
    let version = match asked {
        Err(error) => return Some(format!("postgres does not run: {error}")),
        Ok(answer) => parse_version(&String::from_utf8_lossy(&answer.stdout)),
    };
    match (version, made_by) {
        (None, _) => Some("postgres does not tell its version".to_owned()),
        (Some(found), Some(made_by)) if found != made_by => {
            Some(format!("is version {found}, not {made_by}"))
        }
        (Some(found), None) if found < OLDEST_VERSION => {
            Some(format!("is version {found}, older than {OLDEST_VERSION}"))
        }
        _ => None,
    }
}

/// The major version in the likes of `postgres (PostgreSQL) 15.18 (Debian 15.18-0)`.
fn parse_version(answer: &str) -> Option<u32> {
    let number = answer.split_whitespace().nth(2)?;
    let digits = number.find(|letter: char| !letter.is_ascii_digit());
    number.get(..digits.unwrap_or(number.len()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_releases_and_from_betas() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(parse_version(debian), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18.6"), Some(18));
        assert_eq!(parse_version("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(parse_version("postgres (PostgreSQL) devel"), None);
        assert_eq!(parse_version(""), None);
    }

    #[test]
    fn versioned_folders_come_newest_first() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["pg-9", "pg-15", "pg-100", "pg-old", "other-16"] {
            std::fs::create_dir(parent.path().join(name)).unwrap();
        }
        let before = format!("{}/pg-", parent.path().display());
        let expected = ["100", "15", "9"].map(|version| format!("{before}{version}/bin"));
        assert_eq!(versioned(&before, "/bin"), expected.map(PathBuf::from));
    }

    #[test]
    fn a_folder_that_is_named_is_the_only_one() {
        let named = Path::new("/nowhere");
        assert_eq!(candidates(Some(named)), [named]);
    }
}
