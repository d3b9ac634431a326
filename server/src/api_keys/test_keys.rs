//! Test keys set flags where nothing is at stake: not in protected environments. Whether one is
//! protected is read under the lock of its head, which whoever changes that has to take.

use std::collections::BTreeMap;

use burgee_proto::admin::v1::Environment;
use burgee_proto::types::v1::{AccessKeyKind, ErrorReason};
use prost::Message as _;
use uuid::Uuid;

use crate::change::Change;
use crate::error::Error;

impl Change {
    /// Refuses whoever has a test key where a locked environment is protected. The key goes on
    /// working as a server key, and sets flags again when the environment is not protected any
    /// more.
    ///
    /// # Errors
    /// [`Error::Protected`], those of the database.
    pub(crate) async fn refuse_test_key_if_protected(&mut self) -> Result<(), Error> {
        if !self.authorized.is_confined() {
            return Ok(());
        }
        let locked: Vec<Uuid> = self.heads().keys().copied().collect();
        match self.protected_among(&locked).await? {
            Some(environment) => Err(Error::Protected {
                environment,
                permission: self.authorized.permission().map_or("", |it| it.name()),
            }),
            None => Ok(()),
        }
    }

    /// Refuses to make a test key of a protected environment, a successor too.
    ///
    /// # Errors
    /// [`ErrorReason::EnvironmentProtected`], those of the database.
    pub(super) async fn check_new_test_key(
        &mut self,
        kind: AccessKeyKind,
        opens: &BTreeMap<Uuid, String>,
    ) -> Result<(), Error> {
        if kind != AccessKeyKind::Test {
            return Ok(());
        }
        let environments: Vec<Uuid> = opens.keys().copied().collect();
        self.lock_heads(&environments).await?;
        match self.protected_among(&environments).await? {
            Some(environment) => Err(Error::precondition(
                ErrorReason::EnvironmentProtected,
                environment,
                "the environment is protected: a test key could set no flags in it; make a server key",
            )),
            None => Ok(()),
        }
    }

    /// The name of one that is protected, if one is.
    async fn protected_among(&mut self, environments: &[Uuid]) -> Result<Option<String>, Error> {
        let rows = sqlx::query!(
            r#"select 'projects/' || p.key || '/environments/' || e.key as "name!", e.body
               from environments e join projects p on p.id = e.project_id
               where e.id = any($1)"#,
            environments,
        )
        .fetch_all(self.connection())
        .await?;
        for row in rows {
            if Environment::decode(row.body.as_slice())?.protected {
                return Ok(Some(row.name));
            }
        }
        Ok(None)
    }
}
