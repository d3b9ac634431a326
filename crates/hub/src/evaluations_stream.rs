//! What an evaluations watch says: the results of one context, whole and then
//! as they change.
//!
//! A stream keeps no results. It keeps the compiled ruleset that it last
//! evaluated with (which shares with newer ones whatever did not change) and a
//! digest; on a change it evaluates the flags that the change touches with both
//! rulesets, and sends those that came out otherwise. Messages are made as the
//! receiver takes them, so that a slow one holds up to two rulesets and a
//! message, never a queue; one that takes nothing is cut off by the sweeper.

mod series;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use burgee_evaluator::hash::HASH_BYTES;
use burgee_evaluator::{Digest, Ruleset};
use burgee_proto::evaluation::v1::watch_evaluations_response::Message;
use burgee_proto::evaluation::v1::{
    EvaluationsDelta, EvaluationsResumeToken, EvaluationsSnapshot, WatchEvaluationsResponse,
};
use burgee_proto::sync::v1::{Bookmark, Goodbye};
use burgee_proto::types::v1::Position;
use bytes::Bytes;
use prost::Message as _;

use crate::changes::FlagKeys;
use crate::encoding::TOKEN_VERSION;
use crate::environment::Environment;
use crate::follower::{Begun, Topic};
use crate::refused::Refused;
use crate::results::{Question, toggle};
use crate::state::EnvironmentState;

use self::series::Series;

/// Results of one context, for one receiver.
pub(crate) struct EvaluationsTopic {
    environment: Arc<Environment>,
    question: Question,
    context_hash: [u8; HASH_BYTES],
    /// What the receiver showed, if it is of use here.
    shown: Option<EvaluationsResumeToken>,
    /// What the receiver holds, once it has taken what is queued.
    position: Position,
    ruleset: Arc<Ruleset>,
    digest: Digest,
    /// What is to be sent next,
    series: Option<Series>,
    /// and after it.
    signs: VecDeque<WatchEvaluationsResponse>,
}

impl EvaluationsTopic {
    /// For a receiver that showed this token.
    pub(crate) fn new(
        environment: Arc<Environment>,
        question: Question,
        resume_token: &[u8],
    ) -> Self {
        let shown = EvaluationsResumeToken::decode(resume_token).ok();
        let is_of_use = |token: &EvaluationsResumeToken| {
            token.version == TOKEN_VERSION && *token.environment == **environment.uid()
        };
        Self {
            shown: shown.filter(is_of_use),
            context_hash: question.viewer().fingerprint(),
            environment,
            question,
            position: Position::default(),
            ruleset: Arc::default(),
            digest: Digest::new(),
            series: None,
            signs: VecDeque::new(),
        }
    }

    /// The digest of these results, if the receiver holds exactly them.
    fn recognised(&self, ruleset: &Ruleset, flag_keys: &FlagKeys) -> Option<Digest> {
        let shown = self.shown.as_ref()?;
        if shown.context_hash != self.context_hash[..] {
            return None;
        }
        let mut digest = Digest::new();
        for evaluation in self.question.results(ruleset, flag_keys) {
            toggle(&mut digest, &evaluation);
        }
        (shown.digest == digest.to_bytes()[..]).then_some(digest)
    }

    fn token(&self) -> Bytes {
        let uid = self.environment.uid();
        resume_token(uid, self.position, self.context_hash, self.digest)
    }

    /// Everything up to the position has been delivered.
    fn send_bookmark(&mut self) {
        let bookmark = respond(self.position, sign_of_life(false), self.token());
        self.signs.push_back(bookmark);
    }

    fn next_of_series(&mut self) -> Option<WatchEvaluationsResponse> {
        let mut series = self.series.take()?;
        let part = series.next(&self.question, &mut self.digest);
        let is_snapshot = series.is_whole();
        let more = part.more;
        let payload = if is_snapshot {
            Message::Snapshot(EvaluationsSnapshot {
                evaluations: part.updated,
                last_chunk: !more,
            })
        } else if part.is_empty() {
            // The change altered nothing for this context: the next bookmark
            // will say so.
            return None;
        } else {
            Message::Delta(EvaluationsDelta {
                updated: part.updated,
                removed: part.removed,
                more,
            })
        };
        let token = if more {
            self.series = Some(series);
            Bytes::new()
        } else {
            self.token()
        };
        Some(respond(self.position, payload, token))
    }
}

impl Topic for EvaluationsTopic {
    type Message = WatchEvaluationsResponse;

    async fn begin(&mut self, latest: &EnvironmentState) -> Result<Begun, Refused> {
        let shown = self.shown.as_ref().and_then(|token| token.position);
        if shown.is_some_and(|position| position > latest.position()) {
            return Ok(Begun::Ahead);
        }
        let (state, ruleset) = self.environment.compiled().await?;
        self.position = state.position();
        let flag_keys = self.question.flag_keys(&state, &ruleset);
        match self.recognised(&ruleset, &flag_keys) {
            Some(digest) => {
                self.digest = digest;
                self.send_bookmark();
            }
            None => self.series = Some(Series::new(None, ruleset.clone(), flag_keys)),
        }
        self.ruleset = ruleset;
        Ok(Begun::At(self.position))
    }

    async fn go_on(
        &mut self,
        _latest: &EnvironmentState,
        held: Position,
    ) -> Result<Position, Refused> {
        let (state, newer) = self.environment.compiled().await?;
        let older = std::mem::replace(&mut self.ruleset, newer.clone());
        let flag_keys = state.changes().since(held, &older, &newer);
        self.series = Some(Series::new(Some(older), newer, flag_keys));
        self.position = state.position();
        Ok(self.position)
    }

    fn bookmark(&mut self, _latest: &EnvironmentState) {
        // What is compiled is kept for the next change.
        self.environment.touch_evaluated();
        self.send_bookmark();
    }

    fn behind(&mut self, latest: &EnvironmentState) {
        let behind = respond(latest.position(), sign_of_life(true), Bytes::new());
        self.signs.push_back(behind);
    }

    fn goodbye(&mut self, latest: &EnvironmentState, goodbye: Goodbye) {
        let goodbye = Message::Goodbye(goodbye);
        let goodbye = respond(latest.position(), goodbye, Bytes::new());
        self.signs.push_back(goodbye);
    }

    fn next(&mut self) -> Option<WatchEvaluationsResponse> {
        self.next_of_series().or_else(|| self.signs.pop_front())
    }

    fn clear(&mut self) {
        self.series = None;
        self.signs.clear();
    }
}

fn respond(position: Position, message: Message, resume_token: Bytes) -> WatchEvaluationsResponse {
    WatchEvaluationsResponse {
        position: Some(position),
        message: Some(message),
        resume_token,
    }
}

fn sign_of_life(behind: bool) -> Message {
    Message::Bookmark(Bookmark {
        server_time: Some(SystemTime::now().into()),
        behind,
    })
}

/// What a receiver shows that holds the results of a context at a position.
pub(crate) fn resume_token(
    environment: &str,
    position: Position,
    context_hash: [u8; HASH_BYTES],
    digest: Digest,
) -> Bytes {
    let token = EvaluationsResumeToken {
        version: TOKEN_VERSION,
        environment: environment.to_owned(),
        position: Some(position),
        context_hash: context_hash.to_vec().into(),
        digest: digest.to_bytes().to_vec().into(),
    };
    token.encode_to_vec().into()
}
