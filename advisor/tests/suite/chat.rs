//! Turns of a conversation: confirmation, repetition, ownership.
use super::support::{Scene, code, portfolio};
use moneta_contracts::{
    advisor::{self as pb, message_part::Part},
    events::ConversationTurned,
};
use moneta_kit::client::Call;
use std::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

pub struct Talk<'a> {
    pub scene: &'a Scene,
    pub conversation: String,
}

impl<'a> Talk<'a> {
    pub async fn begin(scene: &'a Scene) -> Self {
        let request = pb::CreateConversationRequest { title: "Questions".to_owned() };
        let created = scene.advisor().create_conversation(scene.call().request(request)).await.unwrap().into_inner();
        Self { scene, conversation: created.conversation_id }
    }

    fn request(&self, text: &str, reference: &str) -> pb::SendMessageRequest {
        pb::SendMessageRequest {
            conversation_id: self.conversation.clone(),
            text: text.to_owned(),
            client_reference: reference.to_owned(),
        }
    }

    pub async fn send(&self, call: &Call, text: &str, reference: &str) -> Result<pb::Message, Status> {
        let request = call.request(self.request(text, reference));
        Ok(self.scene.advisor().send_message(request).await?.into_inner())
    }

    pub async fn say(&self, text: &str) -> pb::Message {
        self.send(&self.scene.call(), text, "").await.unwrap()
    }

    async fn messages(&self) -> Vec<pb::Message> {
        let request = pb::ListMessagesRequest {
            conversation_id: self.conversation.clone(),
            ..pb::ListMessagesRequest::default()
        };
        self.scene.advisor().list_messages(self.scene.call().request(request)).await.unwrap().into_inner().messages
    }
}

const BUY: &str = "buy 10 shares of Apple";

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed_after_a_yes_in_the_very_next_turn_and_only_then() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    let asked = talk.say(BUY).await;
    assert_eq!(asked.intent, "place_buy_order", "{asked:?}");
    assert!(asked.text.contains("10 AAPL") && asked.text.contains("Savings"), "{}", asked.text);
    assert_eq!(asked.actions.iter().map(|action| action.kind.as_str()).collect::<Vec<_>>(), ["confirm", "cancel"]);
    assert!(asked.figures.iter().all(|figure| figure.source == "trading.PreviewOrder"));
    assert!(scene.orders().is_empty());

    let refused = talk.say("no").await;
    assert_eq!(refused.intent, "confirmation");
    talk.say("yes").await;
    assert!(scene.orders().is_empty(), "it was dropped");

    talk.say(BUY).await;
    talk.say("what is a bond").await;
    talk.say("ok").await;
    assert!(scene.orders().is_empty(), "the yes was to something else");

    talk.say(BUY).await;
    let placed = talk.say("Yes, please").await;
    assert_eq!(placed.figures[0].source, "trading.SubmitOrder", "{placed:?}");
    talk.say("yes").await;
    let [order] = &scene.orders()[..] else { panic!("one order: {:?}", scene.orders()) };
    assert_eq!((order.symbol.as_str(), order.side.as_str(), order.origin.as_str()), ("AAPL", "buy", "self_directed"));
    assert_eq!(order.quantity.unwrap().nanos, 10_000_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_the_bounds_is_answered_with_the_value_and_what_is_allowed() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    for (text, value, allowed) in [
        ("buy $92,233,720,368,547,758.07 of Apple", "92,233,720,368,547,758.07", "at most 100,000,000,000.00"),
        ("buy 10000001 shares of Apple", "10000001 shares", "at most 10,000,000"),
        ("sell 79228162514264337593543950335 shares of Apple", "79228162514264337593543950335", "at most 10,000,000"),
        ("buy 10 shares of Apple at $10,000,001", "$10,000,001", "at most 10,000,000"),
        ("what if I sell 1000% of my Apple", "1000%", "at most 100%"),
    ] {
        let reply = talk.say(text).await;
        assert_eq!(reply.refusal, "not_permitted", "{text}: {reply:?}");
        assert!(reply.text.contains(value) && reply.text.contains(allowed), "{text}: {}", reply.text);
    }
    assert!(scene.orders().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_whose_answer_was_lost_places_one_order() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    talk.say(BUY).await;
    scene.change(|world| world.answers_to_lose = 3);
    let lost = talk.send(&scene.call().once(), "yes", "again").await.unwrap_err();
    assert_eq!(lost.code(), Code::Unavailable);
    let placed = talk.send(&scene.call(), "yes", "again").await.unwrap();
    assert_eq!(placed.figures[0].source, "trading.SubmitOrder");
    assert_eq!(talk.send(&scene.call(), "yes", "again").await.unwrap(), placed);
    let other = talk.send(&scene.call(), "no", "again").await.unwrap_err();
    assert_eq!(code(&other), "idempotency_key_reused");
    assert_eq!(scene.orders().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_turn_again_is_answered_from_the_record() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    let first = talk.send(&scene.call(), "what is my portfolio worth", "r1").await.unwrap();
    let again = talk.send(&scene.call(), "what is my portfolio worth", "r1").await.unwrap();
    assert_eq!(first, again);
    let call = scene.call();
    let (left, right) = tokio::join!(talk.send(&call, "hello", ""), talk.send(&call, "hello", ""));
    assert_eq!(left.unwrap(), right.unwrap(), "a repeated request without a reference is known by its cause");
    let kept = talk.messages().await;
    assert_eq!(kept.len(), 4);
    assert_eq!((kept[0].role.as_str(), kept[1].clone()), ("user", first));
    scene.stage.quiet().await;
    let told: Vec<ConversationTurned> = scene.stage.events().await;
    assert_eq!(told.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_carries_the_words_and_then_the_message_as_it_is_kept() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    let request = scene.call().request(talk.request("what is my portfolio worth", ""));
    let mut stream = scene.advisor().stream_message(request).await.unwrap().into_inner();
    let mut text = String::new();
    let mut last = None;
    while let Some(part) = stream.next().await {
        match part.unwrap().part.unwrap() {
            Part::Text(words) => text.push_str(&words),
            Part::Message(message) => last = Some(message),
        }
    }
    let message = last.unwrap();
    assert_eq!(text, message.text);
    assert_eq!(talk.messages().await[1], message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_exists_for_its_user_alone_and_lies_encrypted() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    talk.say("what is my portfolio worth").await;
    let refused = talk.send(&scene.strange_call(), "hello", "").await.unwrap_err();
    assert_eq!((refused.code(), code(&refused).as_str()), (Code::NotFound, "not_found"));
    let request =
        pb::ListMessagesRequest { conversation_id: talk.conversation.clone(), ..pb::ListMessagesRequest::default() };
    let refused = scene.advisor().list_messages(scene.strange_call().request(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let rows = scene.stage.db("advisor").fetch_all("SELECT body FROM messages", moneta_kit::args![]).await.unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let body = row.blob("body").unwrap();
        assert!(!body.windows(9).any(|window| window == b"portfolio"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_is_down_makes_an_honest_answer() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    scene.change(|world| world.user_fails = true);
    let answer = talk.say("how risky is my portfolio").await;
    assert_eq!((answer.intent.as_str(), answer.refusal.as_str()), ("risk_level", "unavailable"));
    let too_long = talk.send(&scene.call(), &"a ".repeat(2_000), "").await.unwrap_err();
    assert_eq!(too_long.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recommendation_is_approved_and_the_agent_paused_by_chat() {
    let scene = Scene::start().await;
    scene.set_autonomy("approve").await;
    let item = scene.advice().await.unwrap();
    let talk = Talk::begin(&scene).await;
    let asked = talk.say("approve the recommendation").await;
    assert_eq!(asked.intent, "approve_recommendation", "{asked:?}");
    talk.say("yes").await;
    assert_eq!(scene.recommendation(&item.recommendation_id).await.status, "executing");
    assert_eq!(scene.orders().len(), item.trades.len());

    talk.say("pause the agent").await;
    talk.say("yes").await;
    assert!(scene.mandate().await.paused);
    // To let it run again is more than a session is good for.
    let refused = talk.say("resume the agent").await;
    assert!(refused.text.contains("needs your password"), "{refused:?}");
    talk.say("yes").await;
    let mandate = scene.mandate().await;
    assert!(mandate.paused);
    assert_eq!((mandate.version, mandate.portfolio_id), (2, portfolio().to_string()));
}

/// Prints how long turns take; the bound is far above what they need, for machines that are busy with other tests.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_quick() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    talk.say("what is my portfolio worth").await;
    let mut times = Vec::new();
    for _ in 0..21 {
        let begin = Instant::now();
        talk.say("what is my portfolio worth").await;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    println!("chat turn: median {:?}, slowest {:?}", times[10], times[20]);
    assert!(times[10].as_secs_f64() < 2.0, "{:?}", times[10]);
}
