//! Follows the evaluations of a context as a browser would: holds the results,
//! and applies what it is sent.

use std::collections::BTreeMap;

use burgee_proto::evaluation::v1::watch_evaluations_response::Message;
use burgee_proto::evaluation::v1::{
    EvaluateAllRequest, WatchEvaluationsRequest, WatchEvaluationsResponse,
};
use burgee_proto::sync::v1::GoodbyeReason;
use burgee_proto::types::v1::{Evaluation, EvaluationContext, Position};
use bytes::Bytes;
use tonic::{Status, Streaming};

use crate::callers::Caller;
use crate::wait::{SOON, within};

/// An open stream, and what its receiver holds.
pub struct Viewer {
    messages: Streaming<WatchEvaluationsResponse>,
    context: EvaluationContext,
    /// By flag key.
    pub results: BTreeMap<String, Evaluation>,
    /// Where they stand.
    pub position: Position,
    /// What they can be followed from, anywhere.
    pub resume_token: Bytes,
}

/// What a stream said, in one message or in parts that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// All results.
    Everything,
    /// Keys of results that changed, and of those that are gone.
    Changed {
        /// New or otherwise.
        updated: Vec<String>,
        /// Gone, or not to be seen any more.
        removed: Vec<String>,
    },
    /// Nothing has changed.
    Nothing,
    /// The sender is behind.
    Behind,
    /// The stream ends.
    Goodbye(GoodbyeReason),
}

impl Viewer {
    /// Follows all flags that the caller may see.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn follow(caller: &Caller, context: EvaluationContext) -> Result<Self, Status> {
        Self::open(caller, context, Bytes::new(), BTreeMap::new()).await
    }

    /// The same viewer at another hop, or the same again.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn move_to(self, caller: &Caller) -> Result<Self, Status> {
        Self::open(caller, self.context, self.resume_token, self.results).await
    }

    async fn open(
        caller: &Caller,
        context: EvaluationContext,
        resume_token: Bytes,
        results: BTreeMap<String, Evaluation>,
    ) -> Result<Self, Status> {
        let request = WatchEvaluationsRequest {
            context: Some(context.clone()),
            resume_token: resume_token.clone(),
            ..WatchEvaluationsRequest::default()
        };
        let response = caller.evaluation().watch_evaluations(request).await?;
        Ok(Self {
            messages: response.into_inner(),
            context,
            results,
            position: Position::default(),
            resume_token,
        })
    }

    /// What comes next, after it was applied.
    ///
    /// # Panics
    ///
    /// When nothing comes soon, or the stream breaks.
    pub async fn next(&mut self) -> Told {
        let mut told: Option<Told> = None;
        loop {
            let message = within("a message", SOON, self.messages.message()).await;
            let response = message.unwrap().expect("the stream goes on");
            let is_complete = !response.resume_token.is_empty();
            if is_complete {
                self.position = response.position.unwrap();
                self.resume_token = response.resume_token;
            }
            match response.message.unwrap() {
                Message::Snapshot(snapshot) => {
                    if told.replace(Told::Everything).is_none() {
                        self.results.clear();
                    }
                    self.update(snapshot.evaluations);
                }
                Message::Delta(delta) => {
                    let removed = delta.removed;
                    self.results.retain(|key, _| !removed.contains(key));
                    let updated = self.update(delta.updated);
                    told = Some(Told::Changed { updated, removed });
                }
                Message::Bookmark(bookmark) if bookmark.behind => return Told::Behind,
                Message::Bookmark(_) => return Told::Nothing,
                Message::Goodbye(goodbye) => return Told::Goodbye(goodbye.reason()),
            }
            if let Some(told) = told.take_if(|_| is_complete) {
                return told;
            }
        }
    }

    /// What comes next that is not a sign of life.
    pub async fn next_news(&mut self) -> Told {
        loop {
            match self.next().await {
                Told::Nothing | Told::Behind => {}
                news => return news,
            }
        }
    }

    /// Exactly what EvaluateAll answers this caller is held.
    pub async fn assert_current(&self, caller: &Caller) {
        let request = EvaluateAllRequest {
            context: Some(self.context.clone()),
            min_position: Some(self.position),
            ..EvaluateAllRequest::default()
        };
        let answer = caller.evaluation().evaluate_all(request).await.unwrap();
        let held: Vec<_> = self.results.values().cloned().collect();
        assert_eq!(held, answer.into_inner().evaluations);
    }

    fn update(&mut self, results: Vec<Evaluation>) -> Vec<String> {
        let keys = results.iter().map(|result| result.flag_key.clone());
        let keys = keys.collect();
        for result in results {
            self.results.insert(result.flag_key.clone(), result);
        }
        keys
    }
}
