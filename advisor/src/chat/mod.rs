//! The chat: one turn understands a text, asks the services for every figure, and answers in sentences made from those
//! figures. Nothing happens to money or settings before the user has confirmed it in a turn of its own.
mod answers;
mod knowledge;
mod store;

use crate::{Advisor, Config, Models, Result, serving};
use answers::{Reply, Turn};
use knowledge::Knowledge;
use moneta_contracts::{advisor as pb, events::ConversationTurned};
use moneta_kit::{
    client::Call,
    problem::{Problem, parse},
    service::ServiceContext,
};
use moneta_model_store::vectors::{Serving, VectorServer};
use moneta_models::nlu::{self, Catalogue, CatalogueEntry, Intent, NluModel, ServedEncoder};
use moneta_types::{Cause, MessageId, UserId};
use std::{sync::Arc, time::Duration};
use tokio::sync::RwLock;

pub use moneta_types::ConversationId;

/// Longest text of a turn, characters.
const LONGEST: usize = 2_000;

/// What the chat understands with and knows.
#[derive(Clone)]
pub struct Chat {
    encoder: ServedEncoder,
    head: Arc<RwLock<(String, NluModel)>>,
    knowledge: Knowledge,
    _vectors: Option<Arc<Serving>>,
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chat")
    }
}

impl Chat {
    /// Opens the encoder, the intent head and the vector store, and indexes the texts.
    pub async fn open(ctx: &ServiceContext, config: &Config, models: &Models) -> Result<Self> {
        let (version, folder) = models.champion_folder(serving::NLU).await?;
        let head = NluModel::load(&folder)?;
        let encoder = models.encoder(&folder, Duration::from_secs(5))?;
        let (url, vectors) = if config.vectors_url.is_empty() {
            let server = VectorServer::open(ctx.root_dir.join("vectors")).await?;
            let serving = server.serve(config.vectors).await?;
            (serving.url(), Some(Arc::new(serving)))
        } else {
            (config.vectors_url.clone(), None)
        };
        let articles = knowledge::read(&config.knowledge)?;
        let knowledge = Knowledge::open(&url, &articles, &encoder).await?;
        Ok(Self { encoder, head: Arc::new(RwLock::new((version, head))), knowledge, _vectors: vectors })
    }

    /// The URL of the vector store, when the process serves it itself.
    pub fn vectors_url(&self) -> Option<String> {
        self._vectors.as_ref().map(|serving| serving.url())
    }

    /// What a text means, and its embedding.
    async fn understand(&self, models: &Models, text: &str) -> Result<(Intent, nlu::Embedding)> {
        let served = self.encoder.embed(text).await?;
        if self.head.read().await.0 != served.version {
            // Another version became champion: its head belongs to its encoder.
            let (version, folder) = models.champion_folder(serving::NLU).await?;
            *self.head.write().await = (version, NluModel::load(&folder)?);
        }
        let intent = self.head.read().await.1.classify(text, &served.embedding);
        Ok((intent, served.embedding))
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
    pub(crate) async fn turn(&self, user: UserId, request: &pb::SendMessageRequest, cause: Cause) -> Result<pb::Message> {
        let id: ConversationId = parse("conversation_id", &request.conversation_id)?;
        self.own_conversation(user, id).await?;
        let text = request.text.trim();
        if text.is_empty() || text.chars().count() > LONGEST {
            let shown: String = text.chars().take(40).collect();
            return Err(Problem::invalid("text", shown, format!("1 to {LONGEST} characters")).into());
        }
        if let Some(answer) = self.answered(user, id, &request.client_reference).await? {
            return Ok(answer);
        }
        let cause = match request.client_reference.as_str() {
            "" => cause.part("turn"),
            reference => Cause::named(&format!("turn/{id}/{reference}")),
        };
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

        let turn = Turn::new(self, user, id, text, Call::for_user(&self.ctx, user, cause), cause).await?;
        let (intent, reply) = match turn.confirmation().await? {
            Some(reply) => (None, reply),
            None => {
                let (intent, embedding) = self.chat.understand(&self.models, text).await?;
                let reply = turn.answer(&intent, &embedding).await?;
                (Some(intent), reply)
            }
        };
        let answer = finish(message("adviser", &reply.text), intent.as_ref(), &reply);
        let mut tx = self.keep_turn(user, id, &request.client_reference, &question, &answer).await?;
        if let Some((token, pending)) = &reply.pending {
            Self::keep_pending(&mut tx, user, id, token, pending, now).await?;
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
        };
        tx.publish(&event, cause, &self.ctx.clock).await?;
        tx.commit().await?;
        Ok(answer)
    }

    /// The instruments as the entity parser knows them.
    pub(crate) async fn catalogue(&self) -> Result<Catalogue> {
        let market = self.market().await?;
        Ok(Catalogue::new(market.listings().iter().filter(|listing| listing.tradable).map(|listing| CatalogueEntry {
            symbol: listing.symbol.to_string(),
            name: listing.name.clone(),
            aliases: listing.aliases.clone(),
        })))
    }
}

fn finish(mut message: pb::Message, intent: Option<&Intent>, reply: &Reply) -> pb::Message {
    message.intent = intent.map_or("confirmation", |intent| intent.label.as_str()).to_owned();
    message.confidence = intent.map(|intent| format!("{:.3}", intent.confidence)).unwrap_or_default();
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
