//! The credentials of `burgee-server dev`. They are marked in their rows, so
//! that `serve` honours none of them; therefore, and only therefore, they are
//! also kept in plain text, and every start prints the same ones.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use burgee_hub::credential;
use burgee_proto::admin::v1::{ApiKey, CreateApiKeyRequest};
use burgee_proto::types::v1::AccessKeyKind;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::kept::keep;
use super::seed;
use crate::app::App;
use crate::deployment;
use crate::error::Error;
use crate::failure::Failure;

/// The file, in the data directory.
const FILE: &str = "dev-keys.json";

/// Everything that opens a development server.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Credentials {
    /// A token for the control plane.
    pub admin_token: String,
    /// Opens every environment of the demo project to a relay.
    pub relay_key: String,
    /// SDK keys, by the name of the environment.
    pub environments: BTreeMap<String, EnvironmentKeys>,
}

/// The SDK keys of one environment.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvironmentKeys {
    /// For servers.
    pub server_key: String,
    /// For browsers and apps.
    pub client_key: String,
}

impl Credentials {
    /// What an earlier start kept. None: nothing, or nothing that can be read
    /// as such.
    ///
    /// # Errors
    /// [`Failure::Io`].
    pub fn read(data_dir: &Path) -> Result<Option<Self>, Failure> {
        let path = data_dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::io(format!("read {}", path.display()))(error)),
        }
    }

    /// Keeps them for the next start.
    ///
    /// # Errors
    /// [`Failure::Io`].
    pub fn write(&self, data_dir: &Path) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(io::Error::from)
            .map_err(Failure::io(format!("write {FILE}")))?;
        text.push('\n');
        keep(data_dir, FILE, &text).map(drop)
    }

    /// Makes what is missing or no longer opens anything.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn complete(mut self, app: &App, organization: Uuid) -> Result<Self, Error> {
        if !is_live(app, &self.admin_token).await? {
            let token =
                deployment::create_admin_token(&app.pools.write, organization, true).await?;
            self.admin_token = token.expose().to_owned();
        }
        let environments = seed::environments(app, organization).await?;
        self.environments
            .retain(|name, _| environments.contains(name));
        let maker = Maker { app, organization };
        for name in &environments {
            let keys = self.environments.entry(name.clone()).or_default();
            let one = std::slice::from_ref(name);
            maker
                .replace(&mut keys.server_key, AccessKeyKind::Server, one)
                .await?;
            maker
                .replace(&mut keys.client_key, AccessKeyKind::Client, one)
                .await?;
        }
        maker
            .replace(&mut self.relay_key, AccessKeyKind::Relay, &environments)
            .await?;
        Ok(self)
    }
}

/// Makes keys through the path that everybody's keys take.
struct Maker<'a> {
    app: &'a App,
    organization: Uuid,
}

impl Maker<'_> {
    async fn replace(
        &self,
        secret: &mut String,
        kind: AccessKeyKind,
        environments: &[String],
    ) -> Result<(), Error> {
        if environments.is_empty() || is_live(self.app, secret).await? {
            return Ok(());
        }
        let request = CreateApiKeyRequest {
            api_key: Some(ApiKey {
                display_name: "Made by `burgee-server dev`".to_owned(),
                kind: kind.into(),
                environments: environments.to_vec(),
                ..ApiKey::default()
            }),
            ..CreateApiKeyRequest::default()
        };
        *secret = seed::perform(self.app, self.organization, request)
            .await?
            .secret;
        Ok(())
    }
}

/// Whether a credential is known here, and has not ended.
async fn is_live(app: &App, secret: &str) -> Result<bool, Error> {
    let hash = credential::hash(secret);
    let live = sqlx::query_scalar!(
        r#"select exists (
               select from api_keys
               where hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())
           ) or exists (
               select from tokens
               where hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())
           ) as "live!""#,
        hash.as_slice(),
    )
    .fetch_one(&app.pools.read)
    .await?;
    Ok(live)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::kept::MODE;
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Credentials::read(folder.path()).unwrap().is_none());
        let credentials = Credentials {
            admin_token: "a".to_owned(),
            ..Credentials::default()
        };
        credentials.write(folder.path()).unwrap();
        let read = Credentials::read(folder.path()).unwrap().unwrap();
        assert_eq!(read.admin_token, "a");
        let mode = fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, MODE);
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(Credentials::read(folder.path()).unwrap().is_none());
    }
}
