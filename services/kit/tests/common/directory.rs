//! A data directory of two services that throw balls: what the tests of directories and of backups work on.
#![allow(clippy::unwrap_used)]
use super::Ping;
use moneta_kit::{
    args,
    config::Config,
    runner::{Error, Runner, Running, Selection},
    service::{Service, ServiceDef},
    store::{Db, Migration},
};
use moneta_types::Cause;
use std::{
    fs,
    path::{Path, PathBuf},
};

pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "0001_balls",
    sqlite: "CREATE TABLE balls (id BIGINT PRIMARY KEY);\nCREATE TABLE texts (id BIGINT PRIMARY KEY, text TEXT NOT NULL);",
    postgres: "",
}];

pub const fn service(name: &'static str) -> ServiceDef {
    ServiceDef { name, needs: &[], migrations: MIGRATIONS, build: |_| Box::pin(async { Ok(Service::new()) }) }
}

pub const DEFS: &[ServiceDef] = &[service("portfolio"), service("trading")];

pub fn config(folder: &Path) -> Config {
    let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Config::default().with("data_dir", folder).with("ops.listen", any_port)
}

pub async fn start(folder: &Path) -> Result<Running, Error> {
    Runner::start(DEFS, &Selection::All, config(folder)).await
}

pub async fn only(folder: &Path, name: &str) -> Result<Running, Error> {
    Runner::start(DEFS, &Selection::Only(vec![name.to_owned()]), config(folder)).await
}

/// A ball of a service, and its event.
pub async fn throw(db: &Db, running: &Running, ball: u32) {
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO balls (id) VALUES ($1)", args![ball]).await.unwrap();
    let cause = Cause::named(&format!("{} {ball}", db.service()));
    tx.publish(&Ping { ball, hits: 0 }, cause, running.clock()).await.unwrap();
    tx.commit().await.unwrap();
}

/// A directory in which a process has worked and ended in order.
pub async fn worked_in(folder: &Path) {
    let running = start(folder).await.unwrap();
    for name in ["portfolio", "trading"] {
        throw(running.db(name).unwrap(), &running, 1).await;
    }
    running.shutdown().await;
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}
