//! RerandomizeRollout.

use std::collections::BTreeMap;

use burgee_evaluator::bucket::BUCKETS;
use burgee_proto::admin::v1::operation::Part;
use burgee_proto::admin::v1::{RerandomizeRolloutRequest, RerandomizeRolloutResponse, ServeChange};
use burgee_proto::types::v1::{Serve, Split, SplitPart, serve};

use super::set_rollout::serve_before;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::FlagConfigName;
use crate::random;

#[tonic::async_trait]
impl Mutation for RerandomizeRolloutRequest {
    mutation_fields!(RerandomizeRolloutResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environment(
            FlagConfigName::parse("name", &self.name)?.environment(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<RerandomizeRolloutResponse, Error> {
        let name = FlagConfigName::parse("name", &self.name)?;
        let etag = change.common.etag.clone();
        let (_, stored) = change.load_config(&name).await?;
        stored.check_etag(&name, &etag)?;
        let before = serve_before(&stored.message, &self.rule_id)?;
        let Some(Serve {
            kind: Some(serve::Kind::Split(split)),
        }) = &before
        else {
            let description =
                "there is no split here whose salt could change; SetRollout makes one";
            return Err(Error::invalid("rule_id", description));
        };
        let moved = moved_weight(&split.parts, &split.parts);
        let after = Split {
            salt: random::identifier()?,
            ..split.clone()
        };
        let operation = ServeChange {
            rule_id: self.rule_id.clone(),
            before: before.clone(),
            after: Some(Serve {
                kind: Some(serve::Kind::Split(after)),
            }),
        };
        change
            .apply_to_config(&name, Part::Serve(operation))
            .await?;
        change.warn(warning(moved));
        Ok(RerandomizeRolloutResponse {
            flag_config: Some(change.show_config(&name)?),
            moved_weight: i32::try_from(moved).map_err(Error::internal)?,
            ..RerandomizeRolloutResponse::default()
        })
    }
}

/// The share of contexts that get another variant, in 1/1000 %, where two splits
/// divide independently of each other: a context has a variant before and after
/// with the product of its weights, and stays with the sum of those.
pub(super) fn moved_weight(before: &[SplitPart], after: &[SplitPart]) -> u64 {
    let whole = u64::from(BUCKETS);
    let after = weights(after);
    let weights = weights(before).into_iter();
    let both = weights.map(|(variant, weight)| weight * after.get(variant).unwrap_or(&0));
    let stay: u64 = both.sum();
    whole.saturating_sub((stay + whole / 2) / whole)
}

/// The weight of each variant, of which a split may have several parts. Stored
/// weights are within 0 and the whole.
fn weights(parts: &[SplitPart]) -> BTreeMap<&str, u64> {
    let mut weights = BTreeMap::new();
    for part in parts {
        *weights.entry(part.variant.as_str()).or_default() +=
            u64::try_from(part.weight).unwrap_or(0);
    }
    weights
}

/// The same for people, in whole percent.
pub(super) fn warning(moved: u64) -> String {
    let percent = u64::from(BUCKETS) / 100;
    let about = match (moved + percent / 2) / percent {
        _ if moved == 0 => "none".to_owned(),
        0 => "less than 1 %".to_owned(),
        rounded => format!("about {rounded} %"),
    };
    format!("{about} of the contexts that this split divides get another variant")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(parts: &[(&str, i32)]) -> u64 {
        let parts = parts.iter().map(|(variant, weight)| SplitPart {
            variant: (*variant).to_owned(),
            weight: *weight,
        });
        let parts: Vec<_> = parts.collect();
        moved_weight(&parts, &parts)
    }

    #[test]
    fn as_many_move_as_independent_salts_divide_differently() {
        assert_eq!(moved(&[("a", 50_000), ("b", 50_000)]), 50_000);
        assert_eq!(moved(&[("a", 90_000), ("b", 10_000)]), 18_000);
        assert_eq!(
            moved(&[("a", 33_333), ("b", 33_333), ("c", 33_334)]),
            66_667
        );
        assert_eq!(moved(&[("a", 100_000)]), 0);
        assert_eq!(moved(&[("a", 0), ("b", 100_000)]), 0);
        assert_eq!(moved(&[("a", 99_999), ("b", 1)]), 2);
    }

    #[test]
    fn parts_with_one_variant_are_one_share() {
        assert_eq!(
            moved(&[("a", 25_000), ("b", 50_000), ("a", 25_000)]),
            50_000
        );
    }

    #[test]
    fn people_are_told_in_whole_percent() {
        let told = |moved| warning(moved).split(" of ").next().map(str::to_owned);
        assert_eq!(told(50_000).as_deref(), Some("about 50 %"));
        assert_eq!(told(66_667).as_deref(), Some("about 67 %"));
        assert_eq!(told(2).as_deref(), Some("less than 1 %"));
        assert_eq!(told(0).as_deref(), Some("none"));
    }
}
