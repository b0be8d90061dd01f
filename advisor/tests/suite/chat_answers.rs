//! Every intent has an answer, made from figures that name their source.
use super::{
    chat::Talk,
    support::{Scene, portfolio, world::holding},
};
use moneta_contracts::{events::ConversationTurned, trading::SubmitOrderRequest};

/// Text, intent, refusal, a part of the answer, and the source that a figure must name.
const TURNS: [(&str, &str, &str, &str, &str); 35] = [
    ("what is my portfolio worth", "portfolio_value", "", "is worth", "portfolio.GetPortfolio"),
    ("what do I own", "holdings", "", "100 AAPL", "portfolio.GetPortfolio"),
    ("what's my asset allocation", "allocation", "", "is divided", "portfolio.GetPortfolio"),
    ("how far am I from my target", "drift", "", "beyond the band", "portfolio.Drift"),
    ("how is my portfolio doing", "portfolio_performance", "", "time-weighted", "portfolio.Performance"),
    ("why did my portfolio go down", "why_moved", "", "KO $123.45", "portfolio.Attribution"),
    ("show my transactions", "transactions_history", "", "deposit", "portfolio.Transactions"),
    ("what fees do I pay", "fees_and_costs", "", "$12.34", "portfolio.Attribution"),
    ("how risky is my portfolio", "risk_level", "", "balanced", "user.GetQuestionnaire"),
    ("what's the price of Apple", "market_price", "", "AAPL closed at", "market_data.LatestPrices"),
    ("what do you expect for Apple next month", "forecast_outlook", "", "nine cases in ten", "advisor.MarketView"),
    ("what's the outlook for my portfolio", "forecast_outlook", "", "forecast volatility", "advisor.MarketView"),
    ("what if I sell half my Apple", "what_if_sell", "", "If you sell 50 AAPL", "portfolio.GetPortfolio"),
    ("what if I buy 10 Apple shares", "what_if_buy", "", "If you buy 10 AAPL", "advisor.MarketView"),
    ("buy 10 Apple", "place_buy_order", "", "Shall I place the order", "trading.PreviewOrder"),
    ("sell 10 Apple", "place_sell_order", "", "Shall I place the order", "trading.PreviewOrder"),
    ("has my order gone through", "order_status", "", "buy 5 KO", "trading.ListOrders"),
    ("cancel my order", "cancel_order", "", "Shall I cancel", ""),
    ("explain your recommendation", "explain_recommendation", "", "is open until", "decision record"),
    ("explain the decision you made yesterday", "explain_decision", "", "same bytes", "decision record"),
    ("approve the recommendation", "approve_recommendation", "", "Shall I approve", "decision record"),
    ("decline the recommendation", "decline_recommendation", "", "Shall I decline", ""),
    ("pause the agent", "pause_agent", "", "Shall I pause", ""),
    ("resume the agent", "resume_agent", "", "not paused", ""),
    ("turn off email notifications", "notification_preferences", "", "notification settings", ""),
    ("change my risk level to adventurous", "change_risk_preference", "not_permitted", "questionnaire", ""),
    ("I want to add money to my account", "deposit_cash", "", "holds $10,000.00 in cash", "portfolio.GetPortfolio"),
    ("I want to take money out", "withdraw_cash", "", "I cannot move money", "portfolio.GetPortfolio"),
    ("what can you do", "help_capabilities", "", "You can ask", ""),
    ("hello", "greeting", "", "Hello", ""),
    ("thank you", "thanks_goodbye", "", "welcome", ""),
    ("I want to talk to a human", "talk_to_human", "", "I am a program. I have passed on", "compliance alert"),
    ("are you a human?", "who_answers", "", "No person writes here: I am a program.", ""),
    ("I want to kill myself, I lost everything", "distress", "", "Samaritans on 116 123", ""),
    ("I want to complain", "complaint", "", "passed your complaint on", "compliance alert"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_intent_is_answered_and_figures_name_their_source() {
    let scene = Scene::start().await;
    scene.set_autonomy("approve").await;
    scene.change(|world| {
        let view = world.portfolios.get_mut(&portfolio().to_string()).unwrap();
        view.holdings = vec![holding("AAPL", 100), holding("KO", 200)];
        view.cash = super::support::world::usd(10_000);
        let order = SubmitOrderRequest {
            portfolio_id: portfolio().to_string(),
            symbol: "KO".to_owned(),
            side: "buy".to_owned(),
            quantity: Some(moneta_contracts::common::Quantity { nanos: 5_000_000_000 }),
            idempotency_key: "k".to_owned(),
            ..SubmitOrderRequest::default()
        };
        world.submit(order).unwrap();
    });
    scene.advice().await.unwrap();
    let talk = Talk::begin(&scene).await;
    let mut wrong = Vec::new();
    for (text, intent, refusal, part, source) in TURNS {
        let answer = talk.say(text).await;
        let sourced = source.is_empty() || answer.figures.iter().any(|figure| figure.source == source);
        let named = answer.figures.iter().all(|figure| !figure.source.is_empty() && !figure.value.is_empty());
        if answer.intent != intent || answer.refusal != refusal || !answer.text.contains(part) || !sourced || !named {
            wrong.push(format!(
                "{text:?}: {} {:?} {:?} {:?}",
                answer.intent, answer.refusal, answer.text, answer.figures
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_passed_on_to_a_person_asks_compliance_under_the_number_that_the_client_is_told() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    let complained = talk.say("I want to complain").await;
    let again = talk.say("I want to complain").await;
    talk.say("hello").await;
    talk.say("are you a human?").await;
    talk.say("I want to kill myself").await;
    scene.stage.quiet().await;
    let told: Vec<ConversationTurned> = scene.stage.events().await;
    let asked: Vec<_> = told.iter().map(|turn| (turn.intent.as_str(), turn.alert_id.is_some())).collect();
    let expected =
        [("complaint", true), ("complaint", true), ("greeting", false), ("who_answers", false), ("distress", true)];
    assert_eq!(asked, expected);
    let number = told[0].alert_id.unwrap().to_string();
    assert!(complained.text.contains(&number) && again.text.contains(&number), "{}", complained.text);
    assert_ne!(told[4].alert_id, told[0].alert_id);
    assert!(!complained.text.contains("contact form") && complained.text.contains("No contact of the firm"));
}

#[tokio::test(flavor = "multi_thread")]
async fn knowledge_is_answered_with_its_text_named_and_the_rest_of_the_world_is_refused() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    let answer = talk.say("what is an ETF").await;
    assert_eq!((answer.intent.as_str(), answer.refusal.as_str()), ("knowledge_question", ""));
    assert_eq!(answer.citations[0].id, "what-is-an-etf", "{:?}", answer.citations);
    assert!(answer.text.ends_with("[what-is-an-etf]"), "{}", answer.text);
    assert!(!answer.citations[0].excerpt.is_empty());
    for text in ["what's the weather today", "tell me a joke"] {
        let answer = talk.say(text).await;
        assert_eq!((answer.intent.as_str(), answer.refusal.as_str()), ("out_of_scope", "out_of_scope"), "{answer:?}");
        assert!(answer.figures.is_empty() && answer.citations.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_after_a_yes_and_what_is_mandatory_stays_on() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    let refused = talk.say("stop sending me emails about trade executed").await;
    assert_eq!(refused.intent, "notification_preferences", "{refused:?}");
    assert_eq!(refused.refusal, "not_permitted", "{refused:?}");
    let asked = talk.say("turn off email notifications about the market fall").await;
    assert!(asked.text.contains("Shall I turn off"), "{asked:?}");
    assert!(scene.change(|world| world.topics.iter().all(|topic| topic.enabled)));
    talk.say("yes").await;
    let enabled: Vec<_> = scene.change(|world| world.topics.iter().map(|topic| topic.enabled).collect());
    assert_eq!(enabled, [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_sound_like_their_neighbours_have_answers_of_their_own() {
    let scene = Scene::start().await;
    let talk = Talk::begin(&scene).await;
    scene.change(|world| {
        let view = world.portfolios.get_mut(&portfolio().to_string()).unwrap();
        view.holdings = Vec::new();
        view.valued_on = String::new();
    });
    // What is asked, what the answer must say, and what it must not.
    let asked = [
        ("what is my portfolio worth?", "all of it in cash", "prices of"),
        ("is my money protected if the firm fails?", "[if-the-firm-fails]", "phishing"),
        ("Guarantee me 10 % a year", "No. Nobody can guarantee a return", "time-weighted"),
        ("can you guarantee returns?", "No. Nobody can guarantee a return", "cannot help"),
        ("how do I delete my account?", "DELETE /api/v1/me", "cannot help"),
        ("how do I withdraw my consent?", "PUT /api/v1/preferences", "cannot help"),
        ("show me another client's portfolio", "your own portfolios alone", "You hold"),
        ("yes", "Nothing waits for a yes or no", "Hello"),
        ("why was my order denied?", "order", "same bytes"),
        ("which rules did my last recommendation pass?", "No decision has been made", "volatility"),
        ("should I sell everything now?", "a question of advice", "Which instrument"),
    ];
    let mut wrong = Vec::new();
    for (text, must, must_not) in asked {
        let answer = talk.say(text).await;
        if !answer.text.contains(must) || answer.text.contains(must_not) {
            wrong.push(format!("{text:?}: {} {:?}", answer.intent, answer.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_works_behind_hundreds_that_are_finished_can_be_cancelled() {
    let scene = Scene::start().await;
    scene.change(|world| {
        for nth in 0..250 {
            let order = SubmitOrderRequest {
                portfolio_id: portfolio().to_string(),
                symbol: "KO".to_owned(),
                side: "buy".to_owned(),
                quantity: Some(moneta_contracts::common::Quantity { nanos: 5_000_000_000 }),
                idempotency_key: nth.to_string(),
                ..SubmitOrderRequest::default()
            };
            world.submit(order).unwrap();
        }
        // The oldest is the one that still works.
        world.orders.iter_mut().skip(1).for_each(|order| order.status = "filled".to_owned());
    });
    let talk = Talk::begin(&scene).await;
    let asked = talk.say("cancel my order").await;
    assert!(asked.text.contains("Shall I cancel"), "{asked:?}");
}
