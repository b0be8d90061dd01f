//! Conversations as they are kept: texts encrypted with a key per user, so that erasing the user makes them unreadable.
use super::{ConversationId, answers::Pending};
use crate::{
    Advisor, Error, Result,
    store::{Slice, Store},
};
use moneta_contracts::advisor as pb;
use moneta_kit::{
    args,
    keys::UserKey,
    problem::Problem,
    store::{Args, Tx},
};
use moneta_types::{MessageId, Timestamp, UserId};

/// Which of the user's keys it is.
const SCOPE: &str = "advisor";
const TITLE: &[u8] = b"conversations.title";
const BODY: &[u8] = b"messages.body";
/// What an action that waits for the user's word is sealed as.
const PENDING: &str = "pending_action";

impl Advisor {
    /// The user's key, made at the first conversation; an erased user never gets another one.
    async fn user_key(&self, user: UserId) -> Result<UserKey> {
        if self.store.is_erased(user).await? {
            return Err(erased());
        }
        Ok(self.ctx.keys.user_key(user, SCOPE)?)
    }

    /// Moves keys that were kept in the database to where destroying them is real.
    pub(crate) async fn move_user_keys(&self) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let rows = tx.fetch_all("SELECT user_id, wrapped FROM user_keys", args![]).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            match self.ctx.keys.adopt_user_key(row.get("user_id")?, SCOPE, &row.blob("wrapped")?) {
                // Erased meanwhile: the key goes with the row.
                Ok(()) | Err(moneta_kit::keys::Error::Erased { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        tx.execute("DELETE FROM user_keys", args![]).await?;
        tx.commit().await?;
        self.store.db().rewrite().await?;
        Ok(())
    }

    /// Drops what waits for an erased user's word, and what he wrote before his words were sealed. What was said stays sealed,
    /// and its key is destroyed.
    pub(crate) async fn forget_user(tx: &mut Tx, user: UserId) -> Result<()> {
        tx.execute("DELETE FROM pending_actions WHERE user_id = $1", args![user]).await?;
        let sql = "UPDATE recommendations SET status_reason = '' WHERE owner_id = $1 AND status = 'declined'";
        tx.execute(sql, args![user]).await?;
        Store::forget_pauses(tx, user).await
    }

    /// Keeps a new conversation.
    pub(super) async fn keep_conversation(&self, conversation: &pb::Conversation, user: UserId) -> Result<()> {
        let key = self.user_key(user).await?;
        let title = self.ctx.keys.seal(&key, conversation.title.as_bytes(), TITLE).map_err(Problem::from)?;
        let mut tx = self.store.begin().await?;
        let before = tx
            .fetch_optional(
                "SELECT title FROM conversations WHERE conversation_id = $1",
                args![conversation.conversation_id],
            )
            .await?;
        if let Some(row) = before {
            let kept = self.ctx.keys.open(&key, &row.blob("title")?, TITLE).map_err(Problem::from)?;
            return if kept == conversation.title.as_bytes() { Ok(()) } else { Err(reused("conversation")) };
        }
        tx.execute(
            "INSERT INTO conversations (conversation_id, user_id, title, created) VALUES ($1, $2, $3, $4)",
            args![conversation.conversation_id, user, title, conversation.created_micros],
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The user's conversations, newest first.
    pub(crate) async fn conversations(&self, user: UserId, slice: &Slice) -> Result<Vec<pb::Conversation>> {
        let mut args = Args::new();
        args.push(&user);
        let mut wheres = vec!["user_id = $1".to_owned()];
        slice.restrict(&mut wheres, &mut args, "created", "conversation_id");
        args.push(&slice.limit);
        let sql = format!(
            "SELECT * FROM conversations WHERE {} ORDER BY created DESC, conversation_id LIMIT ${}",
            wheres.join(" AND "),
            args.len()
        );
        let rows = self.store.db().fetch_all(&sql, args).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.user_key(user).await?;
        rows.iter()
            .map(|row| {
                let title = self.ctx.keys.open(&key, &row.blob("title")?, TITLE).map_err(Problem::from)?;
                Ok(pb::Conversation {
                    conversation_id: row.text("conversation_id")?,
                    user_id: user.to_string(),
                    title: String::from_utf8_lossy(&title).into_owned(),
                    created_micros: row.int("created")?,
                })
            })
            .collect()
    }

    /// An error unless the conversation is the user's.
    pub(super) async fn own_conversation(&self, user: UserId, id: ConversationId) -> Result<()> {
        let row = self
            .store
            .db()
            .fetch_optional("SELECT user_id FROM conversations WHERE conversation_id = $1", args![id])
            .await?;
        match row {
            Some(row) if row.get::<UserId>("user_id")? == user => Ok(()),
            _ => Err(Problem::not_found("conversation", id).into()),
        }
    }

    /// A page of a conversation's messages, oldest first, and the cursor of the next page.
    pub(crate) async fn messages(
        &self,
        user: UserId,
        id: ConversationId,
        page: Option<&moneta_contracts::common::Page>,
    ) -> Result<(Vec<pb::Message>, String)> {
        self.own_conversation(user, id).await?;
        let limit = page.map_or(0, |page| page.limit);
        let limit = if limit == 0 { 100 } else { limit };
        if limit > 500 {
            return Err(Problem::invalid("page.limit", limit, "1 to 500").into());
        }
        let after = match page.map_or("", |page| page.cursor.as_str()) {
            "" => 0,
            text => text
                .parse::<i64>()
                .map_err(|_| Problem::invalid("page.cursor", text, "the next_cursor of the previous page"))?,
        };
        let rows = self
            .store
            .db()
            .fetch_all(
                "SELECT sequence, body FROM messages WHERE conversation_id = $1 AND sequence > $2 \
                 ORDER BY sequence LIMIT $3",
                args![id, after, limit],
            )
            .await?;
        let key = self.user_key(user).await?;
        let messages =
            rows.iter().map(|row| self.open_message(&key, &row.blob("body")?)).collect::<Result<Vec<_>>>()?;
        let next = match rows.last() {
            Some(last) if rows.len() >= limit as usize => last.int("sequence")?.to_string(),
            _ => String::new(),
        };
        Ok((messages, next))
    }

    /// The answer that was given to a message before; another text under its reference is refused.
    pub(super) async fn answered(
        &self,
        user: UserId,
        id: ConversationId,
        question: MessageId,
        text: &str,
    ) -> Result<Option<pb::Message>> {
        let row = self
            .store
            .db()
            .fetch_optional(
                "SELECT answer.body AS body, question.body AS asked FROM messages AS question \
                 JOIN messages AS answer ON answer.conversation_id = question.conversation_id \
                 AND answer.sequence = question.sequence + 1 \
                 WHERE question.conversation_id = $1 AND question.message_id = $2",
                args![id, question],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let key = self.user_key(user).await?;
        if self.open_message(&key, &row.blob("asked")?)?.text != text {
            return Err(reused("message"));
        }
        self.open_message(&key, &row.blob("body")?).map(Some)
    }

    /// Keeps question and answer together, in the caller's transaction.
    pub(super) async fn keep_turn(
        &self,
        user: UserId,
        id: ConversationId,
        question: &pb::Message,
        answer: &pb::Message,
    ) -> Result<Tx> {
        let key = self.user_key(user).await?;
        let mut tx = self.store.begin().await?;
        let row = tx
            .fetch_one("SELECT COALESCE(MAX(sequence), 0) AS last FROM messages WHERE conversation_id = $1", args![id])
            .await?;
        let last = row.int("last")?;
        for (offset, message) in [(1, question), (2, answer)] {
            let body = serde_json::to_vec(&StoredMessage::from(message))?;
            let body = self.ctx.keys.seal(&key, &body, BODY).map_err(Problem::from)?;
            tx.execute(
                "INSERT INTO messages (message_id, conversation_id, sequence, role, at, body) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
                args![message.message_id, id, last + offset, message.role, message.at_micros, body],
            )
            .await?;
        }
        Ok(tx)
    }

    fn open_message(&self, key: &UserKey, sealed: &[u8]) -> Result<pb::Message> {
        let body = self.ctx.keys.open(key, sealed, BODY).map_err(Problem::from)?;
        Ok(serde_json::from_slice::<StoredMessage>(&body)?.into())
    }

    /// The newest action of the conversation that waits for the user's word.
    pub(super) async fn pending(&self, user: UserId, id: ConversationId) -> Result<Option<(String, Pending)>> {
        let row = self
            .store
            .db()
            .fetch_optional(
                "SELECT token, body FROM pending_actions WHERE conversation_id = $1 AND user_id = $2 \
                 AND state = 'waiting' ORDER BY created DESC, token LIMIT 1",
                args![id, user],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let body = self.ctx.keys.open_text(user, PENDING, &row.text("body")?)?;
        Ok(Some((row.text("token")?, serde_json::from_str(&body)?)))
    }

    /// Forgets what waits for the user's word: only the very next turn may confirm it, lest an "ok" to something else
    /// places an order.
    pub(super) async fn drop_pending(tx: &mut Tx, id: ConversationId) -> Result<()> {
        tx.execute(
            "UPDATE pending_actions SET state = 'dropped' WHERE conversation_id = $1 AND state = 'waiting'",
            args![id],
        )
        .await?;
        Ok(())
    }

    /// Keeps an action until the next turn.
    pub(super) async fn keep_pending(
        &self,
        tx: &mut Tx,
        user: UserId,
        id: ConversationId,
        token: &str,
        action: &Pending,
        now: Timestamp,
    ) -> Result<()> {
        tx.execute(
            "INSERT INTO pending_actions (token, conversation_id, user_id, body, state, created) \
             VALUES ($1, $2, $3, $4, 'waiting', $5) ON CONFLICT (token) DO NOTHING",
            args![token, id, user, self.ctx.keys.seal_text(user, PENDING, &serde_json::to_string(action)?)?, now],
        )
        .await?;
        Ok(())
    }

    /// Ends a waiting action; it is carried out or dropped once.
    pub(super) async fn end_pending(tx: &mut Tx, token: &str, state: &str) -> Result<()> {
        tx.execute("UPDATE pending_actions SET state = $1 WHERE token = $2 AND state = 'waiting'", args![state, token])
            .await?;
        Ok(())
    }
}

fn erased() -> Error {
    Problem::precondition("user_erased", "this user's personal data were erased; there is nobody to talk to").into()
}

/// A message's form at rest.
#[derive(serde::Serialize, serde::Deserialize)]
struct StoredMessage {
    message_id: MessageId,
    conversation_id: ConversationId,
    role: String,
    text: String,
    at: i64,
    intent: String,
    confidence: String,
    refusal: String,
    citations: Vec<(String, String, String)>,
    figures: Vec<(String, String, String)>,
    actions: Vec<(String, String, String, String)>,
}

impl From<&pb::Message> for StoredMessage {
    fn from(message: &pb::Message) -> Self {
        let nil = uuid::Uuid::nil();
        Self {
            message_id: message.message_id.parse().unwrap_or(MessageId::from_uuid(nil)),
            conversation_id: message.conversation_id.parse().unwrap_or(ConversationId::from_uuid(nil)),
            role: message.role.clone(),
            text: message.text.clone(),
            at: message.at_micros,
            intent: message.intent.clone(),
            confidence: message.confidence.clone(),
            refusal: message.refusal.clone(),
            citations: message
                .citations
                .iter()
                .map(|item| (item.id.clone(), item.title.clone(), item.excerpt.clone()))
                .collect(),
            figures: message
                .figures
                .iter()
                .map(|item| (item.name.clone(), item.value.clone(), item.source.clone()))
                .collect(),
            actions: message
                .actions
                .iter()
                .map(|item| (item.kind.clone(), item.label.clone(), item.token.clone(), item.summary.clone()))
                .collect(),
        }
    }
}

impl From<StoredMessage> for pb::Message {
    fn from(stored: StoredMessage) -> Self {
        Self {
            message_id: stored.message_id.to_string(),
            conversation_id: stored.conversation_id.to_string(),
            role: stored.role,
            text: stored.text,
            at_micros: stored.at,
            intent: stored.intent,
            confidence: stored.confidence,
            refusal: stored.refusal,
            citations: stored
                .citations
                .into_iter()
                .map(|(id, title, excerpt)| pb::Citation { id, title, excerpt })
                .collect(),
            figures: stored
                .figures
                .into_iter()
                .map(|(name, value, source)| pb::Figure { name, value, source })
                .collect(),
            actions: stored
                .actions
                .into_iter()
                .map(|(kind, label, token, summary)| pb::Action { kind, label, token, summary })
                .collect(),
        }
    }
}

impl From<moneta_kit::keys::Error> for Error {
    fn from(error: moneta_kit::keys::Error) -> Self {
        Self::Problem(error.into())
    }
}

fn reused(what: &str) -> Error {
    Problem::exists("idempotency_key_reused", format!("the same key or reference was used for another {what} before"))
        .into()
}
