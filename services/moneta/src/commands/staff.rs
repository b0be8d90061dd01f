//! `moneta staff …`: who works for the house. Works on a data directory, beside a running platform or without one.
use crate::{
    Error, Result, SERVICES,
    cli::{Acting, Staff},
    output, settings,
};
use moneta_contracts::user as pb;
use moneta_kit::{
    client::Call,
    config::Config,
    entropy::fresh_cause,
    runner::{Runner, Running, Selection},
    store::{Db, sqlite_url},
};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::Path,
};

/// Carries a command out, and publishes what it brought about.
pub async fn run(command: Staff) -> Result<()> {
    let common = match &command {
        Staff::Add { common, .. }
        | Staff::List { common }
        | Staff::Approve { common, .. }
        | Staff::Disable { common, .. }
        | Staff::Reset { common, .. }
        | Staff::Password { common, .. } => common.clone(),
    };
    let config = settings::load(&common)?;
    if matches!(command, Staff::Add { .. }) {
        make_store(&config, &settings::data_dir_to_fill(&config, &common)?).await?;
    } else {
        settings::existing_data_dir(&config)?;
    }
    let running = Runner::inspect(SERVICES, &Selection::Only(vec!["user".to_owned()]), config).await?;
    let done = carry_out(&running, command, common.json).await;
    // A running platform would find the events too, but only when it looks next; sessions end within a second.
    running.publish().await;
    running.shutdown().await;
    done
}

/// A firm begins with its first account, so the store of accounts is made for it; one that was there and is lost is not.
async fn make_store(config: &Config, folder: &Path) -> Result<()> {
    moneta_kit::data_dir::check_presence(folder)?;
    moneta_kit::data_dir::check_secrets(folder, &config.global()?)?;
    let user = &moneta_user::SERVICE;
    let db = match super::database(config, user).await {
        Err(Error::Usage(_)) => {
            let file = folder.join(user.name).join(format!("{}.db", user.name));
            Db::open(&sqlite_url(&file), user.name, user.migrations).await?
        }
        found => found?,
    };
    db.close().await;
    Ok(())
}

async fn carry_out(running: &Running, command: Staff, json: bool) -> Result<()> {
    let mut accounts = running.directory().accounts();
    match command {
        Staff::Add { email, name, roles, acting, .. } => {
            let display_name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
            let request = pb::AddStaffRequest { email, display_name, roles };
            let actor = Actor::of(running, &acting, 0).await?;
            let answer = accounts.add_staff(actor.call.request(request)).await;
            actor.leave(running).await;
            added(answer?.into_inner(), json)
        }
        Staff::List { .. } => {
            let members =
                accounts.list_staff(running.call().request(pb::ListStaffRequest {})).await?.into_inner().members;
            let values: Vec<Value> = members.iter().map(value).collect();
            let header = ["email", "name", "roles", "waiting for approval", "status"];
            output::rows(json, &values, &header, |member| {
                let texts = |field: &Value| {
                    let of =
                        |item: &Value| item.as_str().or_else(|| item["role"].as_str()).unwrap_or_default().to_owned();
                    field.as_array().into_iter().flatten().map(of).collect::<Vec<_>>().join(", ")
                };
                let text = |name: &str| member[name].as_str().unwrap_or_default().to_owned();
                vec![
                    text("email"),
                    text("display_name"),
                    texts(&member["roles"]),
                    texts(&member["requests"]),
                    text("status"),
                ]
            })
        }
        Staff::Approve { email, acting, .. } => {
            // The last admin has nobody beside him but whoever works on the machine.
            let actor = Actor::of(running, &acting, 1).await?;
            let answer = accounts.approve_roles(actor.call.request(pb::ApproveRolesRequest { email })).await;
            actor.leave(running).await;
            let member = answer?.into_inner();
            say(json, &member, format!("{} now has the roles {}", member.email, member.roles.join(", ")))
        }
        Staff::Disable { email, acting, .. } => {
            let actor = Actor::of(running, &acting, 0).await?;
            let answer = accounts.disable_staff(actor.call.request(pb::DisableStaffRequest { email })).await;
            actor.leave(running).await;
            let member = answer?.into_inner();
            say(json, &member, format!("{} is disabled; every session has ended", member.email))
        }
        Staff::Reset { email, acting, .. } => {
            let actor = Actor::of(running, &acting, 0).await?;
            let answer = accounts.reset_staff(actor.call.request(pb::ResetStaffRequest { email })).await;
            actor.leave(running).await;
            added(answer?.into_inner(), json)
        }
        Staff::Password { email, .. } => {
            let current = secret("MONETA_PASSWORD", &format!("password of {email}: "))?;
            let session = sign_in(running, &email, &current).await?;
            let new_password = secret("MONETA_NEW_PASSWORD", "new password: ")?;
            let call = Call::bearer(&session.access_token, fresh_cause());
            let request = pb::ChangePasswordRequest { current_password: current, new_password };
            let session = accounts.change_password(call.request(request)).await?.into_inner();
            // The new session was not asked for.
            sign_out(running, &session).await;
            println!("the password of {email} is changed");
            Ok(())
        }
    }
}

fn added(answer: pb::AddStaffResponse, json: bool) -> Result<()> {
    let member = answer.member.unwrap_or_default();
    if json {
        let mut value = value(&member);
        if !answer.one_time_password.is_empty() {
            value["one_time_password"] = Value::String(answer.one_time_password);
        }
        return output::json(&value);
    }
    if answer.one_time_password.is_empty() {
        println!("{} was there already", member.email);
    } else {
        println!("{} has an account; the password for the next sign-in, told this once:", member.email);
        println!("{}", answer.one_time_password);
        println!("change it with `moneta staff password {}`, or at the next sign-in", member.email);
    }
    for request in &member.requests {
        println!(
            "the role {} waits for another admin, once the password is changed: `moneta staff approve {}`",
            request.role, member.email
        );
    }
    Ok(())
}

/// Who gives the command: the admin who is named, signed in for this one command; the directory's own operator when nobody
/// is, and there are too few admins to ask.
struct Actor {
    call: Call,
    session: Option<pb::Session>,
}

impl Actor {
    async fn of(running: &Running, acting: &Acting, too_few: usize) -> Result<Self> {
        let Some(email) = &acting.admin else {
            let request = running.call().request(pb::ListStaffRequest {});
            let members = running.directory().accounts().list_staff(request).await?.into_inner().members;
            // The service looks again; here it is about the words.
            let is_admin = |member: &&pb::StaffMember| {
                member.status == "active" && !member.password_ended && member.roles.iter().any(|role| role == "admin")
            };
            if members.iter().filter(is_admin).count() <= too_few {
                return Ok(Self { call: running.call(), session: None });
            }
            return Err(Error::Usage("this needs an admin in person: name one with --as EMAIL".to_owned()));
        };
        let password = secret("MONETA_PASSWORD", &format!("password of {email}: "))?;
        let session = sign_in(running, email, &password).await?;
        if session.password_change_only {
            sign_out(running, &session).await;
            return Err(Error::Failed(format!(
                "the password of {email} was given out by somebody else: change it first, with \
                 `moneta staff password {email}`"
            )));
        }
        Ok(Self { call: Call::bearer(&session.access_token, fresh_cause()), session: Some(session) })
    }

    async fn leave(self, running: &Running) {
        if let Some(session) = &self.session {
            sign_out(running, session).await;
        }
    }
}

/// Ends a session; one that cannot be ended ends by itself.
async fn sign_out(running: &Running, session: &pb::Session) {
    let request = pb::LogoutRequest { refresh_token: session.refresh_token.clone() };
    let call = Call::bearer(&session.access_token, fresh_cause());
    if let Err(status) = running.directory().user().logout(call.request(request)).await {
        tracing::debug!(message = status.message(), "the session of the command did not end");
    }
}

async fn sign_in(running: &Running, email: &str, password: &str) -> Result<pb::Session> {
    let request = pb::LoginRequest { email: email.to_owned(), password: password.to_owned(), ..Default::default() };
    let call = Call::anonymous(fresh_cause()).once();
    Ok(running.directory().user().login(call.request(request)).await?.into_inner())
}

/// A password from the environment, or asked for.
fn secret(variable: &str, prompt: &str) -> Result<String> {
    if let Ok(value) = std::env::var(variable) {
        return Ok(value);
    }
    if std::io::stdin().is_terminal() {
        print!("{prompt}");
        std::io::stdout().flush()?;
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(Error::Usage(format!("no password: set {variable} or type one"))),
        text => Ok(text.to_owned()),
    }
}

fn say(json: bool, member: &pb::StaffMember, text: String) -> Result<()> {
    if json {
        return output::json(&value(member));
    }
    println!("{text}");
    Ok(())
}

fn value(member: &pb::StaffMember) -> Value {
    let requests: Vec<Value> = member
        .requests
        .iter()
        .map(|request| json!({ "role": request.role, "requested_by": request.requested_by }))
        .collect();
    json!({
        "user_id": member.user_id, "email": member.email, "display_name": member.display_name, "roles": member.roles,
        "requests": requests, "status": member.status, "must_change_password": member.must_change_password,
        "password_ended": member.password_ended,
    })
}
