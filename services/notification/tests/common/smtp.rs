//! A real SMTP server, as small as one can be (RFC 5321): it takes messages over a socket and answers as a test tells it.
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};

/// The server, and what it has received.
pub struct Smtp {
    pub address: SocketAddr,
    received: mpsc::UnboundedReceiver<Received>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
    /// Permits to answer a message; taken away, the server leaves the client waiting.
    pub may_answer: Arc<Semaphore>,
}

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub to: String,
    pub data: String,
}

impl Received {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.data
            .lines()
            .take_while(|line| !line.is_empty())
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Smtp {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let answers: Arc<Mutex<VecDeque<&'static str>>> = Arc::default();
        let may_answer = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let shared = (Arc::clone(&answers), Arc::clone(&may_answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, (answers, may_answer)) = (sender.clone(), shared.clone());
                tokio::spawn(async move { converse(stream, sender, answers, may_answer).await });
            }
        });
        Self { address, received, answers, may_answer }
    }

    /// What the next messages are answered, in order; afterwards every message is accepted.
    pub fn answer(&self, answers: &[&'static str]) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// The next message.
    pub async fn next(&mut self) -> Received {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), self.received.recv()).await;
        waited.expect("no e-mail within 20 seconds").unwrap()
    }

    /// Whether nothing more has come.
    pub fn is_empty(&mut self) -> bool {
        self.received.try_recv().is_err()
    }
}

async fn converse(
    stream: TcpStream,
    sender: mpsc::UnboundedSender<Received>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
    may_answer: Arc<Semaphore>,
) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test ready\r\n").await.ok()?;
    let mut to = String::new();
    while let Some(line) = lines.next_line().await.ok()? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "RCPT" => {
                to = line.split_once('<')?.1.split_once('>')?.0.to_owned();
                write.write_all(b"250 ok\r\n").await.ok()?;
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.ok()?;
                let mut data = String::new();
                loop {
                    let line = lines.next_line().await.ok()??;
                    if line == "." {
                        break;
                    }
                    // A leading dot was doubled (RFC 5321 section 4.5.2).
                    data.push_str(line.strip_prefix('.').unwrap_or(&line));
                    data.push('\n');
                }
                let answer = answers.lock().unwrap().pop_front().unwrap_or("250 taken");
                sender.send(Received { to: to.clone(), data }).ok()?;
                let _permit = may_answer.acquire().await.ok()?;
                write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await.ok()?;
                return Some(());
            }
            _ => write.write_all(b"250 ok\r\n").await.ok()?,
        }
    }
    Some(())
}
