//! Passes on when keys were used at this relay and at those below it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use burgee::sync::{Origin, report_key_uses};
use burgee_hub::telemetry::{ENVIRONMENTS_MAX, USES_MAX};
use burgee_hub::{Hub, KeyUse};
use burgee_proto::telemetry::v1 as telemetry;
use tokio_util::sync::CancellationToken;

/// How often.
const INTERVAL: Duration = Duration::from_secs(10);

/// Tells upstream now and then, and once more at the end. What could not be told is told again
/// with what came since: of each key its last use alone, so that it grows no further.
pub(super) async fn run(origin: Origin, hub: Hub, stop: CancellationToken) {
    let (mut stopped, mut failing) = (false, false);
    while !stopped {
        let pause = tokio::time::sleep(INTERVAL);
        stopped = stop.run_until_cancelled(pause).await.is_none();
        for uses in batches(hub.take_uses()) {
            let told = report_key_uses(&origin, report(&uses)).await;
            let failed_before = std::mem::replace(&mut failing, told.is_err());
            if let Err(status) = told {
                hub.put_back(uses.into_values().flatten().collect());
                if !failed_before {
                    tracing::info!(
                        ?status,
                        "upstream is not told when keys were used; trying again"
                    );
                }
            }
        }
    }
}

/// Uses by environment.
type Batch = BTreeMap<Arc<str>, Vec<KeyUse>>;

/// As many as one report takes at a time. A key that no environment here vouches for any more is
/// left out: nobody would know it.
fn batches(uses: Vec<KeyUse>) -> Vec<Batch> {
    let mut batches = vec![(Batch::new(), 0)];
    for told in uses {
        let Some(environment) = told.environment.clone() else {
            continue;
        };
        let is_full = batches.last().is_none_or(|(batch, count)| {
            let fits = batch.len() < ENVIRONMENTS_MAX || batch.contains_key(&environment);
            *count >= USES_MAX || !fits
        });
        if is_full {
            batches.push((Batch::new(), 0));
        }
        if let Some((batch, count)) = batches.last_mut() {
            batch.entry(environment).or_default().push(told);
            *count += 1;
        }
    }
    let batches = batches.into_iter().map(|(batch, _)| batch);
    batches.filter(|batch| !batch.is_empty()).collect()
}

fn report(batch: &Batch) -> telemetry::ReportKeyUsesRequest {
    let environments = batch.iter().map(|(environment, uses)| {
        let uses = uses.iter().map(|told| telemetry::KeyUse {
            key_hash: told.hash.to_vec().into(),
            last_used_time: Some(told.last_used_at.into()),
        });
        telemetry::EnvironmentKeyUses {
            environment: environment.to_string(),
            uses: uses.collect(),
        }
    });
    telemetry::ReportKeyUsesRequest {
        environments: environments.collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn told(number: usize, environment: Option<usize>) -> KeyUse {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        KeyUse {
            hash,
            environment: environment.map(|number| number.to_string().into()),
            last_used_at: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_report_holds_as_much_as_it_may_and_the_next_one_the_rest() {
        let many = (0..USES_MAX + 5).map(|number| told(number, Some(number % 2)));
        let sizes = |batches: &[Batch]| {
            let size = |batch: &Batch| (batch.len(), batch.values().map(Vec::len).sum::<usize>());
            batches.iter().map(size).collect::<Vec<_>>()
        };
        let batches_of = batches(many.collect());
        assert_eq!(sizes(&batches_of), [(2, USES_MAX), (2, 5)]);
        let wide = (0..=ENVIRONMENTS_MAX).map(|number| told(number, Some(number)));
        let batches_of = batches(wide.collect());
        assert_eq!(
            sizes(&batches_of),
            [(ENVIRONMENTS_MAX, ENVIRONMENTS_MAX), (1, 1)]
        );
    }

    #[test]
    fn what_nobody_vouches_for_is_not_told() {
        assert!(batches(vec![told(1, None)]).is_empty());
        let one = report(&batches(vec![told(1, None), told(2, Some(7))])[0]);
        assert_eq!(one.environments.len(), 1);
        assert_eq!(one.environments[0].environment, "7");
        assert_eq!(one.environments[0].uses.len(), 1);
    }
}
