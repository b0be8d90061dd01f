//! The chat: one turn understands a text, asks the services for every figure, and answers in sentences made from those
//! figures. Nothing happens to money or settings before the user has confirmed it in a turn of its own.
mod answers;
mod care;
mod knowledge;
mod store;

use crate::{
    Advisor, Config, Error, Models, Result,
    serving::{self, Language},
};
use answers::{Reply, Turn};
use async_trait::async_trait;
use knowledge::{Article, Embed, Hit, Knowledge, Place};
use moneta_contracts::{advisor as pb, events::ConversationTurned};
use moneta_kit::{
    client::Call,
    contact::Contact,
    entropy::pause,
    keys,
    problem::{Problem, parse},
    service::ServiceContext,
};
use moneta_model_store::vectors::{Serving, VectorServer};
use moneta_models::nlu::{self, Intent, ServedEncoder};
use moneta_types::{Cause, MessageId, UserId};
use std::{sync::Arc, time::Duration};
use tokio::sync::RwLock;

pub use moneta_types::ConversationId;

/// Longest text of a turn, characters.
const LONGEST: usize = 2_000;

/// Longest wait for the sentence encoder.
const ENCODER_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause between two looks at the texts in the vector store.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Pause after a look that failed.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What the chat understands with and knows.
#[derive(Clone)]
pub struct Chat {
    mind: Arc<RwLock<Arc<Mind>>>,
    articles: Arc<Vec<Article>>,
    place: Place,
}

/// The NLU model of one version, and the texts as its encoder embeds them.
struct Mind {
    language: Language,
    knowledge: Knowledge,
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chat").field("articles", &self.articles.len()).finish_non_exhaustive()
    }
}

impl Chat {
    /// Opens the encoder, the intent head and the vector store, and indexes the texts. The vector store's server, where
    /// the process serves it itself, is the caller's to shut down.
    pub async fn open(ctx: &ServiceContext, config: &Config, models: &Models) -> Result<(Self, Option<Serving>)> {
        let seal = ctx.keys.authenticator("knowledge");
        let (place, vectors) = if config.vectors_url.is_empty() {
            let (read_key, path) = keys::token(&ctx.root_dir, "vectors")?;
            let server = VectorServer::open(ctx.root_dir.join("vectors"), Some(&read_key)).await?;
            let serving = server.serve(config.vectors).await?;
            tracing::info!(address = %serving.address(), key = %path.display(), "the vector store is read with this key");
            (Place { url: serving.url(), key: Some(server.write_key().to_owned()), seal }, Some(serving))
        } else {
            let key = Some(config.vectors_api_key.clone()).filter(|key| !key.is_empty());
            (Place { url: config.vectors_url.clone(), key, seal }, None)
        };
        let articles = Arc::new(knowledge::read(&config.knowledge)?);
        let mind = Mind::open(models, &models.champion(serving::NLU)?, &place, &articles).await?;
        Ok((Self { mind: Arc::new(RwLock::new(Arc::new(mind))), articles, place }, vectors))
    }

    /// What a text means, and its embedding. Encoder, head and texts always are of one version: after a promotion the
    /// first turn brings them in step.
    async fn understand(&self, models: &Models, text: &str) -> Result<(Intent, nlu::Embedding)> {
        for _ in 0..2 {
            let mind = Arc::clone(&*self.mind.read().await);
            let served = mind.language.encoder.embed(text).await?;
            if served.version == mind.language.version {
                return Ok((mind.language.head.classify(text, &served.embedding), served.embedding));
            }
            let mut present = self.mind.write().await;
            if present.language.version != served.version {
                *present = Arc::new(Mind::open(models, &served.version, &self.place, &self.articles).await?);
            }
        }
        Err(Error::NotReady("the language model is being replaced".to_owned()))
    }

    /// Whether the language model takes texts: it is loaded in the version that the chat's head is of, and answers.
    pub(crate) async fn embeds(&self) -> Result<()> {
        let mind = Arc::clone(&*self.mind.read().await);
        mind.language.encoder.embed("are you there").await?;
        Ok(())
    }

    /// Whether the vector store answers.
    pub(crate) async fn reaches_vectors(&self) -> Result<()> {
        let mind = Arc::clone(&*self.mind.read().await);
        mind.knowledge.reach().await
    }

    /// Whether every text is in the vector store as it was indexed.
    pub(crate) async fn knows(&self) -> Result<()> {
        let mind = Arc::clone(&*self.mind.read().await);
        let faults = mind.knowledge.check().await?;
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Problem::unavailable("knowledge_altered", faults.to_string()).into())
        }
    }

    /// Looks after the texts until the process stops: what was altered, lost or slipped in is mended.
    pub(crate) async fn watch(self, shutdown: tokio_util::sync::CancellationToken) {
        loop {
            let mind = Arc::clone(&*self.mind.read().await);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = mind.knowledge.doubted() => {}
                () = pause(LOOK_AGAIN) => {}
            }
            match mind.knowledge.repair().await {
                Ok(faults) if faults.is_empty() => {}
                Ok(faults) => tracing::error!(%faults, "the knowledge was not as it was indexed"),
                Err(error) => {
                    tracing::error!(%error, "the texts in the vector store could not be checked");
                    // A doubt that remains must not become a busy loop.
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = pause(TRY_AGAIN) => {}
                    }
                }
            }
        }
    }

    /// The texts nearest to an embedding, best first.
    async fn search(&self, embedding: &nlu::Embedding, limit: usize) -> Result<Vec<Hit>> {
        let mind = Arc::clone(&*self.mind.read().await);
        mind.knowledge.search(embedding, limit).await
    }
}

impl Mind {
    async fn open(models: &Models, version: &str, place: &Place, articles: &[Article]) -> Result<Self> {
        let language = models.language(version, ENCODER_TIMEOUT).await?;
        let (encoder, digest) = (language.encoder.clone(), language.encoder_digest.clone());
        let knowledge = Knowledge::open(place, articles, Arc::new(Sentences { encoder, digest })).await?;
        Ok(Self { language, knowledge })
    }
}

/// The sentence encoder behind the model server, as the knowledge wants it.
struct Sentences {
    encoder: ServedEncoder,
    digest: String,
}

#[async_trait]
impl Embed for Sentences {
    async fn embed(&self, text: &str) -> Result<Vec<f32>> {
        Ok(self.encoder.embed(text).await?.embedding.to_vec())
    }

    fn encoder(&self) -> &str {
        &self.digest
    }
}

impl Advisor {
    /// Begins a conversation.
    pub(crate) async fn create_conversation(
        &self,
        user: UserId,
        title: &str,
        cause: Cause,
    ) -> Result<pb::Conversation> {
        let title: String = title.trim().chars().take(120).collect();
        let conversation = pb::Conversation {
            conversation_id: cause.derive(&format!("conversation/{user}")).to_string(),
            user_id: user.to_string(),
            title: if title.is_empty() { "Conversation".to_owned() } else { title },
            created_micros: self.ctx.clock.now().micros(),
        };
        self.keep_conversation(&conversation, user).await?;
        Ok(conversation)
    }

    /// One turn. The same `client_reference` again answers what was answered before.
    pub(crate) async fn turn(
        &self,
        user: UserId,
        request: &pb::SendMessageRequest,
        cause: Cause,
    ) -> Result<pb::Message> {
        let id: ConversationId = parse("conversation_id", &request.conversation_id)?;
        self.own_conversation(user, id).await?;
        let text = request.text.trim();
        if text.is_empty() || text.chars().count() > LONGEST {
            let shown: String = text.chars().take(40).collect();
            return Err(Problem::invalid("text", shown, format!("1 to {LONGEST} characters")).into());
        }
        let cause = match request.client_reference.as_str() {
            "" => cause.part("turn"),
            reference => Cause::named(&format!("turn/{id}/{reference}")),
        };
        let asked = MessageId::from_uuid(cause.derive("user"));
        if let Some(answer) = self.answered(user, id, asked, text).await? {
            return Ok(answer);
        }
        let now = self.ctx.clock.now();
        let message = |role: &str, text: &str| pb::Message {
            message_id: MessageId::from_uuid(cause.derive(role)).to_string(),
            conversation_id: id.to_string(),
            role: role.to_owned(),
            text: text.to_owned(),
            at_micros: now.micros(),
            ..pb::Message::default()
        };
        let question = message("user", text);

        let (intent, mut reply) = match care::spoken(text) {
            // Nothing that may be down stands before this answer: no market, no model, no neighbour.
            Some(label) => (Understood::surely(label), care::answer(label, id, now, &self.contact()?)),
            None => {
                let turn = Turn::new(self, user, id, text, Call::for_user(&self.ctx, user, cause), cause).await?;
                self.answer_turn(&turn).await?
            }
        };
        // What stops an order or a payment asks the client to get in touch; here he reads how.
        if reply.text.contains("contact us") {
            reply.text = format!("{} {}", reply.text, self.contact()?.sentence());
        }
        let answer = finish(message("adviser", &reply.text), intent, &reply);
        let mut tx = match self.keep_turn(user, id, &question, &answer).await {
            // The same request came twice at once, and the other one was faster.
            Err(Error::Store(error)) if error.is_unique_violation() => {
                let other = self.answered(user, id, asked, text).await?;
                return other.ok_or(Error::Store(error));
            }
            kept => kept?,
        };
        if reply.ended.is_none() {
            Self::drop_pending(&mut tx, id).await?;
        }
        if let Some((token, pending)) = &reply.pending {
            self.keep_pending(&mut tx, user, id, token, pending, now).await?;
        }
        if let Some((token, state)) = &reply.ended {
            Self::end_pending(&mut tx, token, state).await?;
        }
        let digest = crate::cycle::digest(&format!("{text}\n{}", reply.text));
        let event = ConversationTurned {
            conversation_id: id.to_string(),
            message_id: answer.message_id.clone(),
            user_id: user,
            intent: answer.intent.clone(),
            digest,
            alert_id: reply.alert,
        };
        tx.publish(&event, cause, &self.ctx.clock).await?;
        tx.commit().await?;
        Ok(answer)
    }

    /// How clients reach the firm.
    fn contact(&self) -> Result<Contact> {
        Ok(self.ctx.config.global().map_err(Problem::from)?.contact)
    }

    /// What a turn is understood as, and what is said to it.
    async fn answer_turn(&self, turn: &Turn<'_>) -> Result<(Understood, Reply)> {
        if let Some(reply) = turn.confirmation().await? {
            return Ok((Understood::surely("confirmation"), reply));
        }
        let (intent, embedding) = self.chat()?.understand(&self.models, turn.text).await?;
        let reply = turn.answer(&intent, &embedding).await?;
        Ok((Understood { label: intent.label, confidence: Some(intent.confidence) }, reply))
    }
}

/// What a text was understood as, and how surely; without a figure where no model was asked.
struct Understood {
    label: String,
    confidence: Option<f32>,
}

impl Understood {
    fn surely(label: &str) -> Self {
        Self { label: label.to_owned(), confidence: None }
    }
}

fn finish(mut message: pb::Message, intent: Understood, reply: &Reply) -> pb::Message {
    message.intent = intent.label;
    message.confidence = intent.confidence.map(|confidence| format!("{confidence:.3}")).unwrap_or_default();
    message.citations = reply.citations.clone();
    message.figures = reply.figures.clone();
    message.actions = reply.actions.clone();
    message.refusal = reply.refusal.to_owned();
    message
}

/// A message as a stream: its text by words, then the message itself.
pub(crate) fn parts(message: pb::Message) -> Vec<pb::MessagePart> {
    use pb::message_part::Part;
    let mut parts: Vec<pb::MessagePart> = message
        .text
        .split_inclusive(' ')
        .map(|word| pb::MessagePart { part: Some(Part::Text(word.to_owned())) })
        .collect();
    parts.push(pb::MessagePart { part: Some(Part::Message(message)) });
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_message_are_its_text_and_then_itself() {
        let message = pb::Message { text: "Your portfolio is worth $1.".to_owned(), ..pb::Message::default() };
        let parts = parts(message.clone());
        let text: String = parts
            .iter()
            .filter_map(|part| match &part.part {
                Some(pb::message_part::Part::Text(text)) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(text, message.text);
        assert_eq!(parts.last().unwrap().part, Some(pb::message_part::Part::Message(message)));
    }
}
