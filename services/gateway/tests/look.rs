#![allow(clippy::unwrap_used)]
mod support;
#[tokio::test]
#[ignore]
async fn look() {
    let front = support::Front::with(|config| config.with("gateway.listen", "127.0.0.1:18480")).await;
    println!("{}", front.base);
    std::future::pending::<()>().await;
}
