//! A receiver of an evaluations watch: it applies what it is sent, checks the
//! form of every message, and is compared with what EvaluateAll answers.

use std::collections::BTreeMap;
use std::time::Duration;

use burgee_hub::CloseConnection;
use burgee_proto::evaluation::v1::watch_evaluations_response::Message;
use burgee_proto::evaluation::v1::{
    EvaluateAllRequest, EvaluateAllResponse, WatchEvaluationsRequest, WatchEvaluationsResponse,
};
use burgee_proto::sync::v1::GoodbyeReason;
use burgee_proto::types::v1::{Evaluation, EvaluationContext, Position};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::flags::somebody;
use crate::harness::{TestHub, with_key};
use crate::world::TestKey;

/// Nothing that is to happen takes longer, in the tests' virtual time.
const SOON: Duration = Duration::from_secs(60);

/// What a watch asks for, and what it holds.
#[derive(Clone)]
pub(crate) struct Viewer {
    pub(crate) key: TestKey,
    pub(crate) context: EvaluationContext,
    pub(crate) flag_keys: Vec<String>,
    pub(crate) held: BTreeMap<String, Evaluation>,
    pub(crate) position: Position,
    pub(crate) resume_token: Bytes,
}

/// An open watch.
pub(crate) struct Watch {
    messages: Streaming<WatchEvaluationsResponse>,
    pub(crate) viewer: Viewer,
    /// Parts that wait for the last one.
    staged: Vec<Change>,
    /// Closes the connection.
    pub(crate) close: CancellationToken,
}

type Change = (String, Option<Evaluation>);

impl Viewer {
    /// Alice, asking for all flags with a key.
    pub(crate) fn new(key: &TestKey) -> Self {
        Self {
            key: key.clone(),
            context: somebody("alice"),
            flag_keys: Vec::new(),
            held: BTreeMap::new(),
            position: Position::default(),
            resume_token: Bytes::new(),
        }
    }

    /// Asking for these flags alone.
    pub(crate) fn naming(self, flag_keys: &[&str]) -> Self {
        let flag_keys = flag_keys.iter().map(ToString::to_string).collect();
        Self { flag_keys, ..self }
    }

    /// What EvaluateAll answers now.
    pub(crate) async fn evaluate_all(&self, test: &TestHub) -> EvaluateAllResponse {
        let request = EvaluateAllRequest {
            context: Some(self.context.clone()),
            flag_keys: self.flag_keys.clone(),
            ..EvaluateAllRequest::default()
        };
        let request = with_key(&self.key.secret, request);
        let answer = test.evaluation().evaluate_all(request).await;
        answer.unwrap().into_inner()
    }

    /// Exactly what EvaluateAll answers is held.
    pub(crate) async fn assert_current(&self, test: &TestHub) {
        let all = self.evaluate_all(test).await;
        let held: Vec<_> = self.held.values().cloned().collect();
        assert_eq!(held, all.evaluations);
    }
}

impl TestHub {
    /// Opens a watch that has taken its snapshot.
    pub(crate) async fn watch_all(&self, key: &TestKey) -> Watch {
        self.watch_as(Viewer::new(key)).await
    }

    /// Opens a watch that has taken its snapshot.
    pub(crate) async fn watch_as(&self, viewer: Viewer) -> Watch {
        let mut watch = self.resume_as(viewer).await.unwrap();
        watch.until_snapshot().await;
        watch.viewer.assert_current(self).await;
        watch
    }

    /// Opens a watch with what the viewer holds.
    pub(crate) async fn resume_as(&self, viewer: Viewer) -> Result<Watch, Status> {
        let close = CancellationToken::new();
        let message = WatchEvaluationsRequest {
            context: Some(viewer.context.clone()),
            flag_keys: viewer.flag_keys.clone(),
            resume_token: viewer.resume_token.clone(),
            ..WatchEvaluationsRequest::default()
        };
        let mut request = with_key(&viewer.key.secret, message);
        (request.extensions_mut()).insert(CloseConnection(close.clone()));
        let messages = self.evaluation().watch_evaluations(request).await?;
        Ok(Watch {
            messages: messages.into_inner(),
            viewer,
            staged: Vec::new(),
            close,
        })
    }
}

impl Watch {
    /// The next message, after it was applied.
    pub(crate) async fn next(&mut self) -> WatchEvaluationsResponse {
        self.try_next().await.expect("the stream ended")
    }

    /// The next message; `None`: the stream has ended.
    pub(crate) async fn try_next(&mut self) -> Option<WatchEvaluationsResponse> {
        let message = tokio::time::timeout(SOON, self.messages.message()).await;
        let response = message.expect("nothing came").unwrap()?;
        self.receive(&response);
        Some(response)
    }

    /// Reads the first snapshot whole.
    pub(crate) async fn until_snapshot(&mut self) {
        loop {
            let response = self.next().await;
            assert_eq!(name(&response), "snapshot");
            if !response.resume_token.is_empty() {
                return;
            }
        }
    }

    /// Reads what must be one delta in one message: the keys that it updates,
    /// and those that it removes.
    pub(crate) async fn delta(&mut self) -> (Vec<String>, Vec<String>) {
        let response = self.next().await;
        match response.message.unwrap() {
            Message::Delta(delta) if !delta.more => {
                let updated = delta.updated.into_iter().map(|it| it.flag_key);
                (updated.collect(), delta.removed)
            }
            other => panic!("not a delta: {other:?}"),
        }
    }

    /// Reads until the goodbye after which the stream must end.
    pub(crate) async fn until_goodbye(&mut self) -> GoodbyeReason {
        loop {
            if let Some(Message::Goodbye(goodbye)) = self.next().await.message {
                assert!(self.try_next().await.is_none(), "a message after goodbye");
                assert!(goodbye.reconnect_after.is_some());
                return goodbye.reason();
            }
        }
    }

    fn receive(&mut self, response: &WatchEvaluationsResponse) {
        let first = self.staged.is_empty();
        let completes = match response.message.as_ref().unwrap() {
            Message::Snapshot(snapshot) => {
                if first {
                    self.viewer.held.clear();
                }
                self.stage(&snapshot.evaluations, &[]);
                snapshot.last_chunk
            }
            Message::Delta(delta) => {
                assert!(!delta.updated.is_empty() || !delta.removed.is_empty());
                self.stage(&delta.updated, &delta.removed);
                !delta.more
            }
            Message::Bookmark(bookmark) => {
                assert!(first, "a bookmark between parts");
                assert!(bookmark.server_time.is_some());
                !bookmark.behind
            }
            Message::Goodbye(_) => false,
        };
        assert_eq!(completes, !response.resume_token.is_empty());
        if completes {
            let position = response.position.unwrap();
            assert!(position >= self.viewer.position, "it went backwards");
            self.viewer.position = position;
            self.viewer.resume_token = response.resume_token.clone();
            for (key, result) in std::mem::take(&mut self.staged) {
                match result {
                    Some(result) => self.viewer.held.insert(key, result),
                    None => self.viewer.held.remove(&key),
                };
            }
        }
    }

    fn stage(&mut self, updated: &[Evaluation], removed: &[String]) {
        let keys: Vec<_> = updated.iter().map(|result| &result.flag_key).collect();
        assert!(keys.is_sorted() && removed.is_sorted());
        assert!(updated.iter().all(|result| result.position.is_none()));
        let bytes: usize = updated.iter().map(prost::Message::encoded_len).sum();
        assert!(bytes < 1 << 20 || updated.len() == 1);
        let updated = updated.iter();
        let updated = updated.map(|result| (result.flag_key.clone(), Some(result.clone())));
        self.staged.extend(updated);
        let removed = removed.iter().map(|key| (key.clone(), None));
        self.staged.extend(removed);
    }
}

pub(crate) fn name(response: &WatchEvaluationsResponse) -> &'static str {
    match response.message.as_ref().unwrap() {
        Message::Snapshot(_) => "snapshot",
        Message::Delta(_) => "delta",
        Message::Bookmark(bookmark) if bookmark.behind => "behind",
        Message::Bookmark(_) => "bookmark",
        Message::Goodbye(_) => "goodbye",
    }
}
