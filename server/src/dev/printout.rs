//! What `burgee-server dev` prints: keys, and commands that work as they stand.

use std::env;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::credentials::Credentials;
use super::seed::{FIRST_ENVIRONMENT, PROJECT_NAME};
use super::variables::{OWN_TOOLS, quoted};

/// Everything before the line that says that it listens.
#[must_use]
pub fn lines(
    address: SocketAddr,
    credentials: &Credentials,
    owner_link: Option<&str>,
    variables: &Path,
) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_keys(&mut text, credentials);
    if let Some(link) = owner_link {
        let _ = writeln!(
            text,
            "Nobody can sign in yet; who follows this within 24 hours is the first owner:\n\n  {link}\n"
        );
    }
    let variables = quoted(&variables.display().to_string());
    let _ = writeln!(
        text,
        "# For the lines of README.md and the scripts of tests/grpcurl, in another terminal\n. {variables}\n"
    );
    let _ = write_commands(&mut text, &grpcurl(), address, credentials);
    text
}

fn write_keys(text: &mut String, credentials: &Credentials) -> std::fmt::Result {
    writeln!(
        text,
        "\nDevelopment keys; `burgee-server serve` refuses them.\n"
    )?;
    writeln!(text, "  admin token   {}", credentials.admin_token)?;
    writeln!(text, "  relay key     {}", credentials.relay_key)?;
    for (environment, keys) in &credentials.environments {
        writeln!(text, "\n  {environment}")?;
        writeln!(text, "    server key  {}", keys.server_key)?;
        writeln!(text, "    client key  {}", keys.client_key)?;
    }
    writeln!(text)
}

fn write_commands(
    text: &mut String,
    grpcurl: &str,
    address: SocketAddr,
    credentials: &Credentials,
) -> std::fmt::Result {
    let keys = credentials.environments.get(FIRST_ENVIRONMENT);
    let server_key = keys.map_or("", |keys| &keys.server_key);
    let admin = credentials.admin_token.as_str();
    let commands = [
        (
            "List the flags, with their state in development",
            admin,
            format!(r#"{{"parent": "{PROJECT_NAME}", "environments": ["{FIRST_ENVIRONMENT}"]}}"#),
            "burgee.admin.v1.FlagService/ListFlags",
        ),
        (
            "Evaluate a flag for alice, who has the pro plan",
            server_key,
            r#"{"flag_key": "new-checkout", "context": {"targeting_key": "alice", "attributes": {"plan": "pro"}}}"#
                .to_owned(),
            "burgee.evaluation.v1.EvaluationService/Evaluate",
        ),
        (
            "Follow development's ruleset: leave it running, and do the last one elsewhere",
            server_key,
            "{}".to_owned(),
            "burgee.sync.v1.SyncService/WatchRuleset",
        ),
        (
            "Turn the flag off",
            admin,
            format!(r#"{{"name": "{FIRST_ENVIRONMENT}/flags/new-checkout", "enabled": false}}"#),
            "burgee.admin.v1.FlagService/SetFlagEnabled",
        ),
    ];
    for (what, credential, message, method) in commands {
        writeln!(text, "# {what}")?;
        writeln!(
            text,
            "{grpcurl} -plaintext -H 'authorization: Bearer {credential}' \\"
        )?;
        writeln!(text, "  -d '{message}' \\\n  {address} {method}\n")?;
    }
    Ok(())
}

/// How to call grpcurl from any shell: by name where it is on everybody's PATH,
/// else by the whole path of our own (which `make` alone has on its PATH).
fn grpcurl() -> String {
    let own = Path::new(OWN_TOOLS).join("grpcurl").canonicalize().ok();
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found = env::split_paths(&path).map(|folder| folder.join("grpcurl"));
    let elsewhere = found.any(|file| file.is_file() && file.canonicalize().ok() != own);
    match own {
        Some(own) if !elsewhere => own.display().to_string(),
        _ => "grpcurl".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::credentials::EnvironmentKeys;
    use super::*;

    #[test]
    fn every_command_names_its_credential_and_its_address() {
        let keys = EnvironmentKeys {
            server_key: "SERVER".to_owned(),
            client_key: "CLIENT".to_owned(),
        };
        let credentials = Credentials {
            admin_token: "ADMIN".to_owned(),
            relay_key: "RELAY".to_owned(),
            environments: [(FIRST_ENVIRONMENT.to_owned(), keys)].into(),
        };
        let text = lines(
            "127.0.0.1:4321".parse().unwrap(),
            &credentials,
            Some("LINK"),
            Path::new("/data/env"),
        );
        assert_eq!(text.matches("Bearer ADMIN' ").count(), 2, "{text}");
        assert_eq!(text.matches("Bearer SERVER' ").count(), 2, "{text}");
        assert_eq!(
            text.matches("  127.0.0.1:4321 burgee.").count(),
            4,
            "{text}"
        );
        assert!(text.contains("\n  LINK\n"), "{text}");
        assert!(text.contains("\n. '/data/env'\n"), "{text}");
        assert!(text.contains("RELAY") && text.contains("CLIENT"), "{text}");
    }
}
