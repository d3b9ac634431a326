//! EvaluateFlags and ExplainFlag: what flags are for a context, asked by people.
//!
//! Where the environment stands is read from Postgres, and the hub waited for
//! until it has come that far: so whatever was committed before the call is in
//! the answer, whichever server it was committed through. The hub's ruleset is
//! the one that the data plane evaluates with.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use burgee_evaluator::limits::FLAGS_MAX;
use burgee_evaluator::{Context, Evaluated, Ruleset, explain};
use burgee_hub::{Hub, NotCompiled};
use burgee_proto::admin::v1::{
    EvaluateFlagsRequest, EvaluateFlagsResponse, ExplainFlagRequest, ExplainFlagResponse,
};
use burgee_proto::types::v1::{
    ErrorCode, ErrorReason, Evaluation, Explanation, Position, ValueType,
};
use prost::Message as _;
use uuid::Uuid;

use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::{EnvironmentName, FlagConfigName};
use crate::page::{PAGE_BYTES_MAX, Page};

/// Evaluates flags of an environment, ordered by key.
///
/// # Errors
/// [`Error::NotFound`] for the environment, [`Error::Invalid`],
/// [`Error::Unavailable`].
pub async fn evaluate_flags(
    app: &App,
    hub: &Hub,
    authorized: &Authorized,
    request: EvaluateFlagsRequest,
) -> Result<EvaluateFlagsResponse, Error> {
    let name = EnvironmentName::parse("environment", &request.environment)?;
    if request.flag_keys.len() > FLAGS_MAX {
        return Err(Error::invalid(
            "flag_keys",
            format!("at most {FLAGS_MAX} at once"),
        ));
    }
    let named: BTreeSet<&str> = request.flag_keys.iter().map(String::as_str).collect();
    let question = [request.environment.as_str()].into_iter();
    let question: Vec<&str> = question.chain(named.iter().copied()).collect();
    let page = Page::parse(request.page_size, &request.page_token, &question)?;
    let standing = standing(app, authorized, &name, None).await?;
    let standing = standing.ok_or_else(|| Error::not_found(&name))?;
    let (position, ruleset) = compiled(hub, &standing, &name).await?;

    let keys = if named.is_empty() {
        ruleset.flag_keys().collect()
    } else {
        named
    };
    // No key is empty.
    let from = Bound::Excluded(page.after_key());
    let rows = usize::try_from(page.rows()).unwrap_or(usize::MAX);
    let mut keys: Vec<&str> = keys
        .range::<str, _>((from, Bound::Unbounded))
        .take(rows)
        .copied()
        .collect();
    let next_page_token = page.cut(&mut keys, |key| (*key).to_owned());
    let context = Context::new(&request.context.unwrap_or_default());
    let evaluate = |key| {
        let evaluated = match &context {
            Ok(context) => ruleset.evaluate(key, context, ValueType::Unspecified),
            Err(_) => Evaluated::error(key, ErrorCode::InvalidContext),
        };
        Evaluation {
            position: None,
            ..evaluated.to_message(position)
        }
    };
    let mut response = EvaluateFlagsResponse {
        evaluations: Vec::new(),
        position: Some(position),
        next_page_token,
    };
    let mut bytes = 0;
    for key in &keys {
        let evaluation = evaluate(key);
        bytes += evaluation.encoded_len();
        response.evaluations.push(evaluation);
        if bytes > PAGE_BYTES_MAX && Some(key) != keys.last() {
            response.next_page_token = page.token_after(key);
            break;
        }
    }
    Ok(response)
}

/// Evaluates one flag and tells every step.
///
/// # Errors
/// [`Error::NotFound`] for the environment or the flag, [`Error::Invalid`],
/// [`Error::Unavailable`].
pub async fn explain_flag(
    app: &App,
    hub: &Hub,
    authorized: &Authorized,
    request: ExplainFlagRequest,
) -> Result<ExplainFlagResponse, Error> {
    let name = FlagConfigName::parse("name", &request.name)?;
    let wanted = ValueType::try_from(request.r#type);
    let wanted = wanted.map_err(|_| Error::invalid("type", "give a type of value, or none"))?;
    let environment = name.environment();
    let standing = standing(app, authorized, &environment, Some(&name.flag)).await?;
    let standing = standing.ok_or_else(|| Error::not_found(&name))?;
    let archived = standing.archived.ok_or_else(|| Error::not_found(&name))?;
    let (position, ruleset) = compiled(hub, &standing, &name).await?;
    let mut explanation = match Context::new(&request.context.unwrap_or_default()) {
        Ok(context) => ruleset.explain(&name.flag, &context, wanted, position),
        Err(invalid) => {
            let code = ErrorCode::InvalidContext;
            explain::error(&name.flag, code, invalid, Some(position))
        }
    };
    if archived && is_missing(&explanation) {
        "the flag is archived, and shipped nowhere; restore it first"
            .clone_into(&mut explanation.problem);
    }
    Ok(ExplainFlagResponse {
        explanation: Some(explanation),
    })
}

fn is_missing(explanation: &Explanation) -> bool {
    let evaluation = explanation.evaluation.as_ref();
    evaluation.is_some_and(|it| it.error_code() == ErrorCode::FlagNotFound)
}

/// An environment of the caller's organization at one moment.
struct Standing {
    environment: Uuid,
    position: Position,
    /// Whether the flag that was asked for is archived. None: there is no such
    /// flag.
    archived: Option<bool>,
}

/// None: the caller's organization has no such environment.
async fn standing(
    app: &App,
    authorized: &Authorized,
    name: &EnvironmentName,
    flag: Option<&str>,
) -> Result<Option<Standing>, Error> {
    let mut connection = app.pools.read.acquire().await?;
    // In one statement: one moment.
    let row = sqlx::query!(
        r#"select e.id, h.revision, d.epoch, f.id as "flag?",
                  f.archived_at is not null as "archived!"
           from environments e
           join projects p on p.id = e.project_id
           join environment_heads h on h.environment_id = e.id
           cross join deployment d
           left join flags f on f.project_id = p.id and f.key = $4
           where p.organization_id = $1 and p.key = $2 and e.key = $3"#,
        authorized.organization(),
        name.project,
        name.environment,
        flag,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if row.is_some() {
        authorized.demand(name.place())?;
    }
    Ok(row.map(|row| Standing {
        environment: row.id,
        position: Position {
            epoch: row.epoch.cast_unsigned(),
            revision: row.revision.cast_unsigned(),
        },
        archived: row.flag.map(|_| row.archived),
    }))
}

/// What the data plane evaluates with, at that position or a newer one.
async fn compiled(
    hub: &Hub,
    standing: &Standing,
    name: impl ToString,
) -> Result<(Position, Arc<Ruleset>), Error> {
    let environment = standing.environment.to_string();
    let compiled = hub.compiled(&environment, standing.position).await;
    compiled.map_err(|error| match error {
        // Deleted meanwhile.
        NotCompiled::NoEnvironment => Error::not_found(name),
        NotCompiled::NotCurrent(_) | NotCompiled::Exhausted(_) => Error::Unavailable {
            reason: ErrorReason::NotCurrent,
            cause: error.to_string(),
        },
        NotCompiled::Internal => Error::internal(error),
    })
}
