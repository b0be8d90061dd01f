//! The texts that the chat cites: read from markdown with front matter, embedded, and kept in the vector store.
mod articles;
#[cfg(test)]
mod tests;

use crate::Result;
pub use articles::{Article, Hit, first_sentences, read};
use async_trait::async_trait;
use moneta_kit::keys::Authenticator;
use moneta_model_store::vectors::{Condition, Filter, VectorDocument, VectorIndex};
use moneta_models::nlu::DIMENSION;
use moneta_types::Cause;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::Notify;
use uuid::Uuid;

/// The collection in the vector store.
const COLLECTION: &str = "knowledge";

/// Turns a text into the vector that it is found by.
#[async_trait]
pub trait Embed: Send + Sync {
    /// The embedding, of length 1.
    async fn embed(&self, text: &str) -> Result<Vec<f32>>;

    /// What tells the embeddings of one encoder from those of another.
    fn encoder(&self) -> &str;
}

/// Where the texts are kept, and by what the platform knows its own.
#[derive(Debug, Clone)]
pub struct Place {
    /// URL of the vector store.
    pub url: String,
    /// The key that may write there.
    pub key: Option<String>,
    /// Marks what we indexed.
    pub seal: Authenticator,
}

/// What is wrong with the texts in the vector store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// Texts that are not as they were indexed: words, title, place or vector.
    pub altered: Vec<String>,
    /// Texts that are gone.
    pub missing: Vec<String>,
    /// Points that nobody of ours wrote.
    pub foreign: u64,
}

impl Faults {
    /// Whether everything is as it was indexed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { altered, missing, foreign } = self;
        let list = |names: &[String]| if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        write!(
            f,
            "of the texts in the vector store {}{} were altered, {}{} are missing, and {foreign} are not ours; none of them is \
             cited, and they are indexed again",
            altered.len(),
            list(altered),
            missing.len(),
            list(missing),
        )
    }
}

/// The knowledge in the vector store. What comes back from there counts only while it carries our seal over its words, its
/// name and its vector, because whoever can write to the store, or to its files, could otherwise put words into our mouth.
#[derive(Clone)]
pub struct Knowledge {
    index: VectorIndex,
    seal: Authenticator,
    embed: Arc<dyn Embed>,
    /// By the id of its point.
    articles: Arc<BTreeMap<Uuid, Article>>,
    /// Told when a search meets something that is not as it was indexed.
    doubt: Arc<Notify>,
}

impl std::fmt::Debug for Knowledge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Knowledge").field("articles", &self.articles.len()).finish_non_exhaustive()
    }
}

impl Knowledge {
    /// Brings the vector store in step with the texts: new and changed ones are embedded, texts that are gone, and whatever
    /// is not ours, are taken out. Points of another encoder, known by the digest of its weights, are replaced.
    pub async fn open(place: &Place, articles: &[Article], embed: Arc<dyn Embed>) -> Result<Self> {
        let index = VectorIndex::connect(&place.url, place.key.as_deref(), COLLECTION, DIMENSION).await?;
        let named = articles.iter().map(|article| (point_of(article, embed.encoder()), article.clone()));
        let articles = Arc::new(named.collect());
        let knowledge = Self { index, seal: place.seal.clone(), embed, articles, doubt: Arc::default() };
        knowledge.repair().await?;
        Ok(knowledge)
    }

    /// Whether the vector store answers.
    pub async fn reach(&self) -> Result<()> {
        Ok(self.index.ready().await?)
    }

    /// Compares everything in the vector store with what was indexed.
    pub async fn check(&self) -> Result<Faults> {
        let (_, faults) = self.inspect().await?;
        if !faults.is_empty() {
            self.doubt.notify_one();
        }
        Ok(faults)
    }

    /// Completes when somebody has met something that is not as it was indexed.
    pub async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// Indexes again what is missing or not as it was indexed, and takes out what is not ours.
    pub async fn repair(&self) -> Result<Faults> {
        let (good, faults) = self.inspect().await?;
        if faults.is_empty() {
            return Ok(faults);
        }
        let kept: Vec<Uuid> = good.iter().copied().collect();
        self.index.keep_only(&kept).await?;
        let mut documents = Vec::new();
        for (id, article) in self.articles.iter().filter(|(id, _)| !good.contains(id)) {
            let text = format!("{}. {}", article.title, first_sentences(&article.body, 3));
            let vector = self.embed.embed(&text).await?;
            let bytes = to_bytes(&vector);
            let seal = self.seal.tag(&self.sealed(id, article, &bytes));
            let payload = serde_json::json!({
                "id": article.id,
                "title": article.title,
                "body": article.body,
                "embedding": hex::encode(bytes),
                "seal": hex::encode(seal),
            });
            let payload = payload.as_object().cloned().unwrap_or_default();
            documents.push(VectorDocument { id: *id, vector, payload });
        }
        if !documents.is_empty() {
            self.index.upsert(documents).await?;
        }
        Ok(faults)
    }

    /// The points that are as they were indexed, and what is wrong with the others.
    async fn inspect(&self) -> Result<(BTreeSet<Uuid>, Faults)> {
        let ids: Vec<Uuid> = self.articles.keys().copied().collect();
        let documents = self.index.documents(&ids).await?;
        let stored: BTreeMap<Uuid, &VectorDocument> =
            documents.iter().map(|document| (document.id, document)).collect();
        let mut faults = Faults::default();
        let mut good = BTreeSet::new();
        for (id, article) in self.articles.iter() {
            match stored.get(id) {
                None => faults.missing.push(article.id.clone()),
                Some(document) => match self.genuine(*id, &document.payload) {
                    Some((_, vector)) if similar(cosine(&vector, &document.vector), 1.0) => {
                        good.insert(*id);
                    }
                    _ => faults.altered.push(article.id.clone()),
                },
            }
        }
        faults.foreign = self.index.count(None).await?.saturating_sub(stored.len() as u64);
        Ok((good, faults))
    }

    /// The text of a point and its embedding, when they are those that were indexed under this id.
    fn genuine(&self, id: Uuid, payload: &Map<String, Value>) -> Option<(Article, Vec<f32>)> {
        let text = |key: &str| payload.get(key).and_then(Value::as_str);
        let article = Article { id: text("id")?.into(), title: text("title")?.into(), body: text("body")?.into() };
        let bytes = hex::decode(text("embedding")?).ok()?;
        let seal = hex::decode(text("seal")?).ok()?;
        let holds = self.seal.verify(&self.sealed(&id, &article, &bytes), &seal);
        // A seal of ours on a text that we no longer publish does not bring it back.
        (holds && self.articles.get(&id) == Some(&article)).then(|| (article, from_bytes(&bytes)))
    }

    fn sealed<'a>(&'a self, id: &'a Uuid, article: &'a Article, embedding: &'a [u8]) -> [&'a [u8]; 6] {
        let Article { id: name, title, body } = article;
        let encoder = self.embed.encoder().as_bytes();
        [id.as_bytes(), encoder, name.as_bytes(), title.as_bytes(), body.as_bytes(), embedding]
    }

    /// The texts nearest to an embedding, best first. What does not verify is left out, told and mended.
    pub async fn search(&self, embedding: &[f32], limit: usize) -> Result<Vec<Hit>> {
        let ours = Filter::must([Condition::has_id(self.articles.keys().map(ToString::to_string))]);
        let hits = self.index.search(embedding.to_vec(), limit, Some(ours)).await?;
        let mut texts = Vec::with_capacity(hits.len());
        for hit in hits {
            match self.genuine(hit.id, &hit.payload) {
                // The score is the store's word; the sealed embedding tells whether it speaks of the same vector.
                Some((Article { id, title, body }, vector)) if similar(cosine(embedding, &vector), hit.score) => {
                    texts.push(Hit { id, title, body, score: hit.score });
                }
                _ => {
                    metrics::counter!("moneta_knowledge_altered_total").increment(1);
                    tracing::error!(point = %hit.id, "a text in the vector store is not as it was indexed; it is not cited");
                    self.doubt.notify_one();
                }
            }
        }
        Ok(texts)
    }
}

/// The id covers the words, so a text that changed is another point.
fn point_of(article: &Article, encoder: &str) -> Uuid {
    let Article { id, title, body } = article;
    Cause::named("knowledge").derive(&format!("{encoder}\n{id}\n{title}\n{body}"))
}

/// Single precision over a few hundred components, in whatever order the store adds them up.
fn similar(one: f32, other: f32) -> bool {
    (one - other).abs() < 1e-3
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let length = (dot(one, one) * dot(other, other)).sqrt();
    if one.len() == other.len() && length > 0.0 { dot(one, other) / length } else { f32::NAN }
}

fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|component| component.to_le_bytes()).collect()
}

fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|component| f32::from_le_bytes(*component)).collect()
}
