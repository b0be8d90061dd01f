//! `moneta backup`, `moneta restore` and `moneta verify-backup`.
use crate::{
    Error, Result,
    cli::{Backup, BackupSecret, Restore, VerifyBackup},
    output, settings,
};
use moneta_kit::backup::{self, Secret};
use moneta_types::Timestamp;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// Backs the data directory up.
pub async fn take(args: Backup) -> Result<()> {
    let config = settings::load(&args.common)?;
    let folder = settings::existing_data_dir(&config)?;
    let secret = secret(&args.secret)?;
    let taken = backup::take(&folder, &args.folder, secret, args.with_keys).await?;
    if args.common.json {
        return output::json(&taken);
    }
    println!("{}: {} files, {} bytes, of which {} are new", taken.id, taken.files, taken.bytes, taken.new_bytes);
    if taken.with_keys {
        println!("the keys are in it: keep its secret as you keep the master key");
    } else {
        println!("the keys are not in it: keep {} elsewhere, or personal data cannot be read again", keys(&folder));
    }
    Ok(())
}

fn keys(folder: &std::path::Path) -> String {
    folder.join("keys").join("master.key").display().to_string()
}

/// Brings a backup back.
pub async fn restore(args: Restore) -> Result<()> {
    let config = settings::load(&args.common)?;
    let folder = config.global()?.data_dir;
    let until = args.at.as_deref().map(time).transpose()?;
    let secret = secret(&args.secret)?;
    let restored = backup::restore(&args.folder, secret, args.id, until, &folder).await?;
    if args.common.json {
        return output::json(&restored);
    }
    println!("{} is back in {}, as of {}", restored.id, folder.display(), restored.taken_at);
    println!("what happened after that instant is not; the vector store is built again at the next start");
    if let Some(fingerprint) = restored.needs_master_key {
        println!("before the start, put the master key ({fingerprint}) into {}", keys(&folder));
    }
    Ok(())
}

/// Reads all backups, or one, and compares every byte with its digest.
pub async fn verify(args: VerifyBackup) -> Result<()> {
    let (verified, unused) = backup::verify(&args.folder, secret(&args.secret)?, args.id.clone()).await?;
    output::rows(args.json, &verified, &["id", "taken at", "files", "bytes", "keys"], |backup| {
        vec![
            backup.id.clone(),
            backup.taken_at.to_string(),
            backup.files.to_string(),
            backup.bytes.to_string(),
            if backup.with_keys { "included" } else { "not included" }.to_owned(),
        ]
    })?;
    if unused > 0 && args.id.is_none() {
        eprintln!("{unused} pieces belong to no backup, as after a backup that was cut off; they do no harm");
    }
    Ok(())
}

fn time(text: &str) -> Result<Timestamp> {
    text.parse().map_err(|_| Error::Usage(format!("--at {text:?} is not valid: a time as 2026-11-27T22:00:00Z")))
}

fn secret(args: &BackupSecret) -> Result<Secret> {
    if let Some(path) = &args.key_file {
        return Ok(Secret::from_file(path)?);
    }
    let text = match std::env::var("MONETA_BACKUP_PASSPHRASE") {
        Ok(text) => text,
        Err(_) if std::io::stdin().is_terminal() => {
            print!("passphrase of the backups: ");
            output::Stdout.flush()?;
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line)?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        }
        Err(_) => {
            return Err(Error::Usage(
                "no secret: name a key file with --key-file, or set MONETA_BACKUP_PASSPHRASE".to_owned(),
            ));
        }
    };
    Ok(Secret::from_passphrase(text)?)
}
