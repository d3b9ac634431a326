//! What evaluations are told, and what they say.

use burgee_proto::admin::v1::{EvaluateFlagsRequest, ExplainFlagRequest, GetFlagRequest};
use burgee_proto::evaluation::v1::{EvaluateAllRequest, ExplainRequest};
use burgee_proto::types::v1::EvaluationContext;
use burgee_tests::builders::context;
use burgee_tests::callers::Caller;
use burgee_tests::viewer::Viewer;
use burgee_tests::wait::{SOON, until};

use super::{Drive, PLANTED, random};

impl Drive {
    /// Evaluations, of somebody of whom more is known than flags ask for.
    pub(super) async fn evaluations(&mut self) {
        let marked = self.canaries.add("a marked attribute", random("marked"));
        let told = context("alice", &[("ssn", &marked), ("plan", "pro")]);
        let too_long = context("alice", &[("ssn", &marked.repeat(1_000))]);
        let [server_key, client_key] = [
            self.environment.server_key().await,
            self.environment.client_key().await,
        ];
        for (what, secret) in [("a server key", &server_key), ("a client key", &client_key)] {
            self.canaries.add(what, secret);
        }
        for address in [
            self.server.address().to_owned(),
            self.relay.address().to_owned(),
        ] {
            let caller = Caller::new(&address, &server_key);
            until("the key is known", SOON, async || {
                caller.evaluate(PLANTED, told.clone()).await.is_ok()
            })
            .await;
            self.hear(&caller.evaluate(PLANTED, told.clone()).await.unwrap());
            let request = EvaluateAllRequest {
                context: Some(told.clone()),
                ..EvaluateAllRequest::default()
            };
            self.hear(
                &caller
                    .evaluation()
                    .evaluate_all(request)
                    .await
                    .unwrap()
                    .into_inner(),
            );
            let request = ExplainRequest {
                flag_key: PLANTED.to_owned(),
                context: Some(told.clone()),
                ..ExplainRequest::default()
            };
            self.hear(
                &caller
                    .evaluation()
                    .explain(request)
                    .await
                    .unwrap()
                    .into_inner(),
            );
            let outcome = caller.evaluate(PLANTED, too_long.clone()).await;
            self.hear(&outcome);
            self.watch(&Caller::new(&address, &client_key), &told).await;
        }
        self.try_out(told).await;
    }

    /// A stream that says something new.
    async fn watch(&mut self, caller: &Caller, told: &EvaluationContext) {
        until("the key is known", SOON, async || {
            caller.evaluate(PLANTED, told.clone()).await.is_ok()
        })
        .await;
        let mut viewer = Viewer::follow(caller, told.clone()).await.unwrap();
        let first = viewer.next().await;
        self.hear(&first);
        self.environment.disable(PLANTED).await;
        let news = viewer.next_news().await;
        self.hear(&news);
        self.hear(&viewer.results);
        self.environment.enable(PLANTED).await;
    }

    async fn try_out(&mut self, told: EvaluationContext) {
        let mut flags = self.server.admin().flags();
        let request = EvaluateFlagsRequest {
            environment: self.environment.name.clone(),
            context: Some(told.clone()),
            ..EvaluateFlagsRequest::default()
        };
        self.hear(&flags.evaluate_flags(request).await.unwrap().into_inner());
        let request = ExplainFlagRequest {
            name: self.environment.flag_name(PLANTED),
            context: Some(told),
            ..ExplainFlagRequest::default()
        };
        self.hear(&flags.explain_flag(request).await.unwrap().into_inner());
        let absent = GetFlagRequest {
            name: format!("projects/shop/flags/{PLANTED}-2"),
        };
        self.refuse(flags.get_flag(absent).await);
    }
}
