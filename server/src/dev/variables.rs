//! The file `env` in the data directory. A shell that reads it has what README.md and the
//! scripts of tests/grpcurl call a development server by, and the programs on its path.

use std::env;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::credentials::Credentials;
use super::kept::keep;
use super::seed::FIRST_ENVIRONMENT;
use crate::failure::Failure;

/// The file, in the data directory.
const FILE: &str = "env";
/// Where `make setup` puts grpcurl.
pub(super) const OWN_TOOLS: &str = ".tools/bin";

/// Writes it anew, and gives its whole path.
///
/// # Errors
/// [`Failure::Io`].
pub(super) fn write(
    data_dir: &Path,
    address: SocketAddr,
    database_url: &str,
    credentials: &Credentials,
) -> Result<PathBuf, Failure> {
    let own_keys = credentials.environments.get(FIRST_ENVIRONMENT);
    let server_key = own_keys.map_or("", |keys| &keys.server_key);
    let variables = [
        ("BURGEE_ADDRESS", address.to_string()),
        ("BURGEE_TOKEN", credentials.admin_token.clone()),
        ("BURGEE_SDK_KEY", server_key.to_owned()),
        ("BURGEE_RELAY_KEY", credentials.relay_key.clone()),
        ("BURGEE_DATABASE_URL", database_url.to_owned()),
    ];
    let mut text = "# Written by `burgee-server dev` at each start.\n".to_owned();
    // Writing to a string cannot fail.
    for (name, value) in variables {
        let _ = writeln!(text, "export {name}={}", quoted(&value));
    }
    for folder in folders() {
        let _ = writeln!(text, "PATH={}:$PATH", quoted(&folder.display().to_string()));
    }
    let path = keep(data_dir, FILE, &text)?;
    path.canonicalize()
        .map_err(Failure::io(format!("find {}", path.display())))
}

/// Where grpcurl is, if `make` put it there, and where this program is.
fn folders() -> impl Iterator<Item = PathBuf> {
    let tools = Path::new(OWN_TOOLS).canonicalize().ok();
    let programs = env::current_exe().ok();
    let programs = programs.and_then(|program| program.parent().map(Path::to_path_buf));
    tools.into_iter().chain(programs)
}

/// As a shell takes it for one word, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        let odd = "it's $HOME `x`";
        let credentials = Credentials {
            admin_token: "ADMIN".to_owned(),
            ..Credentials::default()
        };
        let address = "127.0.0.1:4321".parse().unwrap();
        let path = write(folder.path(), address, odd, &credentials).unwrap();
        let read = format!(
            r#". {}; printf '%s|' "$BURGEE_ADDRESS" "$BURGEE_TOKEN" "$BURGEE_DATABASE_URL"; command -v sh"#,
            quoted(&path.display().to_string())
        );
        let output = std::process::Command::new("sh")
            .args(["-ec", &read])
            .output();
        let output = String::from_utf8(output.unwrap().stdout).unwrap();
        let expected = format!("127.0.0.1:4321|ADMIN|{odd}|/");
        assert!(output.starts_with(&expected), "{output}");
    }
}
