//! One e-mail over SMTP.
use super::email_body;
use crate::{
    Error, Result,
    config::{Smtp, Tls},
    store::Due,
};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls as LettreTls, TlsParameters},
    },
};
use std::time::{Duration, SystemTime};

/// Sends e-mail.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    domain: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The server took it over; what it said.
    Accepted(String),
    /// It did not, and another attempt may succeed.
    Later(String),
    /// It never will.
    Never(String),
}

impl Mailer {
    /// A mailer for a configured server; nothing when none is configured.
    pub fn new(config: &Smtp) -> Result<Option<Self>> {
        if config.host.is_empty() {
            return Ok(None);
        }
        let wrong = |what: &str, error: &dyn std::fmt::Display| Error::Smtp(format!("{what}: {error}"));
        let tls = match config.tls {
            Tls::None => LettreTls::None,
            Tls::Starttls => {
                LettreTls::Required(TlsParameters::new(config.host.clone()).map_err(|error| wrong("host", &error))?)
            }
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .tls(tls)
            .timeout(Some(Duration::from_secs(config.timeout_seconds)));
        if !config.username.is_empty() {
            builder = builder.credentials(Credentials::new(config.username.clone(), config.password.clone()));
        }
        Ok(Some(Self {
            transport: builder.build(),
            from: config.from.parse().map_err(|error| wrong("from", &error))?,
            domain: config.message_id_domain.clone(),
        }))
    }

    /// Sends a notification to an address.
    ///
    /// The Message-ID derives from the notification. If the process dies between the server's acceptance and our note of it,
    /// the message goes out a second time under the same id, by which a receiver can tell that it is the same (RFC 5322
    /// section 3.6.4).
    pub async fn send(&self, due: &Due, address: &str) -> Sent {
        let message = match self.message(due, address) {
            Ok(message) => message,
            Err(reason) => return Sent::Never(reason),
        };
        match self.transport.send(message).await {
            Ok(response) => Sent::Accepted(response.first_line().unwrap_or_default().to_owned()),
            Err(error) if error.is_permanent() => Sent::Never(chain(&error)),
            Err(error) => Sent::Later(chain(&error)),
        }
    }

    fn message(&self, due: &Due, address: &str) -> Result<Message, String> {
        let to: Address =
            address.parse().map_err(|error| format!("the user's e-mail address is not valid: {error}"))?;
        let created = u64::try_from(due.created.micros()).unwrap_or(0);
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(due.title.clone())
            .message_id(Some(format!("<{}@{}>", due.notification_id, self.domain)))
            .date(SystemTime::UNIX_EPOCH + Duration::from_micros(created))
            .header(ContentType::TEXT_PLAIN)
            .body(email_body(&due.body, due.mandatory))
            .map_err(|error| chain(&error))
    }
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
