//! A mail server for tests, as small as one can be (RFC 5321): it takes every message and keeps it.
use base64::Engine as _;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Whom it is for.
    pub to: String,
    /// Headers and body, decoded.
    pub text: String,
}

/// The server, and what it has taken.
#[derive(Debug, Clone)]
pub struct Mails {
    /// Where it listens.
    pub address: SocketAddr,
    taken: Arc<Mutex<Vec<Mail>>>,
}

impl Mails {
    /// Starts the server on a port that the system chooses.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), taken: Arc::default() };
        let taken = Arc::clone(&server.taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&taken)));
            }
        });
        server
    }

    /// What has come for an address.
    pub fn to(&self, address: &str) -> Vec<Mail> {
        self.taken.lock().unwrap().iter().filter(|mail| mail.to == address).cloned().collect()
    }
}

async fn converse(stream: TcpStream, taken: Arc<Mutex<Vec<Mail>>>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test ready\r\n").await.ok()?;
    let mut to = String::new();
    while let Some(line) = lines.next_line().await.ok()? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "RCPT" => {
                to = line.split_once('<')?.1.split_once('>')?.0.to_owned();
                "250 ok"
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
                taken.lock().unwrap().push(Mail { to: to.clone(), text: decoded(&data) });
                "250 taken"
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await.ok()?;
                return Some(());
            }
            _ => "250 ok",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    Some(())
}

/// The message with what encodings take apart put together again: soft line ends (RFC 2045 section 6.7), and base64.
fn decoded(data: &str) -> String {
    let joined = data.replace("=\n", "");
    let Some((head, body)) = data.split_once("\n\n") else { return joined };
    if !head.to_ascii_lowercase().contains("content-transfer-encoding: base64") {
        return joined;
    }
    let packed: String = body.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).unwrap_or_default();
    format!("{head}\n\n{}", String::from_utf8_lossy(&bytes))
}
