//! CreateFlag.

use burgee_proto::admin::v1::{
    CreateFlagRequest, CreateFlagResponse, Flag, FlagChange, FlagConfig,
};
use burgee_proto::types::v1::{FlagType, Serve, Variant, serve};
use prost_types::value::Kind;

use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::{self, ProjectName};
use crate::random;

#[tonic::async_trait]
impl Mutation for CreateFlagRequest {
    mutation_fields!(CreateFlagResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Project(ProjectName::parse("parent", &self.parent)?))
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateFlagResponse, Error> {
        let project = ProjectName::parse("parent", &self.parent)?;
        let flag = self
            .flag
            .clone()
            .ok_or_else(|| Error::invalid("flag", "give the flag"))?;
        names::check_key("flag.key", &flag.key)?;
        let name = project.flag(&flag.key);
        check_key_is_free(change, &project, &flag.key).await?;
        let operation = FlagChange {
            before: None,
            after: Some(with_defaults(flag)?),
        };
        change.apply_to_flag(&name, operation).await?;
        Ok(CreateFlagResponse {
            flag: Some(change.show_flag(&name)?),
            ..CreateFlagResponse::default()
        })
    }
}

/// The unique index would refuse it too; this names the flag that has the key.
async fn check_key_is_free(
    change: &mut Change,
    project: &ProjectName,
    key: &str,
) -> Result<(), Error> {
    let id = change.project()?;
    let taken = sqlx::query_scalar!(
        "select key from flags where project_id = $1 and lower(key) = lower($2)",
        id,
        key,
    )
    .fetch_optional(change.connection())
    .await?;
    match taken {
        Some(taken) => Err(Error::Exists {
            resource: project.flag(&taken).to_string(),
        }),
        None => Ok(()),
    }
}

/// The content of a new definition: what the server owns is cleared, what was
/// left out is filled in.
fn with_defaults(flag: Flag) -> Result<Flag, Error> {
    let mut flag = Flag {
        name: String::new(),
        uid: String::new(),
        etag: String::new(),
        archive_time: None,
        create_time: None,
        update_time: None,
        ..flag
    };
    if flag.salt.is_empty() {
        flag.salt = random::identifier()?;
    }
    if flag.variants.is_empty() && flag.r#type() == FlagType::Boolean {
        let variant = |key: &str, value: bool| Variant {
            key: key.to_owned(),
            value: Some(Kind::BoolValue(value).into()),
            ..Variant::default()
        };
        flag.variants = vec![variant("on", true), variant("off", false)];
    }
    Ok(flag)
}

/// The configuration that a new flag has everywhere: disabled; a boolean falls
/// through to its first true variant and is off at its first false one, any
/// other falls through to its first variant and is off at its last.
pub(super) fn first_config(flag: &Flag) -> FlagConfig {
    let holding = |wanted: bool| {
        let mut variants = flag.variants.iter();
        variants.find(|variant| {
            let kind = variant.value.as_ref().and_then(|value| value.kind.as_ref());
            matches!(kind, Some(Kind::BoolValue(value)) if *value == wanted)
        })
    };
    let (on, off) = match flag.r#type() {
        FlagType::Boolean => (holding(true), holding(false)),
        _ => (flag.variants.first(), flag.variants.last()),
    };
    FlagConfig {
        off_variant: off.map(|variant| variant.key.clone()).unwrap_or_default(),
        fallthrough: on.map(|variant| Serve {
            kind: Some(serve::Kind::Variant(variant.key.clone())),
        }),
        ..FlagConfig::default()
    }
}
