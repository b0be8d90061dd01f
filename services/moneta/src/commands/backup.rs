//! `moneta backup`, `moneta restore`, `moneta verify-backup` and `moneta prune-backups`.
use crate::{
    Error, Result,
    cli::{Backup, BackupSecret, PruneBackups, Restore, VerifyBackup},
    output, settings,
};
use moneta_kit::{
    backup::{self, Keep, Pruned, Secret},
    entropy,
    erasures::Ledger,
};
use moneta_types::Timestamp;
use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::Path,
    time::Duration,
};

/// Backs the data directory up, once or again and again. A backup that fails in between is told and made up for at the next
/// time, because whoever started this may be asleep.
pub async fn take(args: Backup) -> Result<()> {
    let config = settings::load(&args.common)?;
    let folder = settings::existing_data_dir(&config)?;
    let secret = secret(&args.secret)?;
    let Some(every) = args.every else { return take_one(&args, &folder, &secret).await };
    take_one(&args, &folder, &secret).await?;
    loop {
        entropy::pause(Duration::from_secs(every)).await;
        if let Err(error) = take_one(&args, &folder, &secret).await {
            eprintln!("no backup this time: {error}");
        }
    }
}

async fn take_one(args: &Backup, folder: &Path, secret: &Secret) -> Result<()> {
    let taken = backup::take(folder, &args.folder, secret.clone(), args.with_keys).await?;
    if args.common.json {
        output::json(&taken)?;
    } else {
        println!("{}: {} files, {} bytes, of which {} are new", taken.id, taken.files, taken.bytes, taken.new_bytes);
        if taken.with_keys {
            println!("the keys are in it: keep its secret as you keep the master key");
        } else {
            println!("the keys are not in it: keep {} elsewhere, or personal data cannot be read again", keys(folder));
        }
    }
    if let Some(last) = args.keep {
        let pruned = backup::prune(&args.folder, secret.clone(), Keep { last, days: args.daily }, false).await?;
        if !args.common.json {
            tell(&pruned);
        }
    }
    Ok(())
}

/// Removes old backups.
pub async fn prune(args: PruneBackups) -> Result<()> {
    let keep = Keep { last: args.keep, days: args.daily };
    let pruned = backup::prune(&args.folder, secret(&args.secret)?, keep, args.accept_missing).await?;
    if args.json {
        return output::json(&pruned);
    }
    tell(&pruned);
    Ok(())
}

fn tell(pruned: &Pruned) {
    for id in &pruned.removed {
        println!("removed {id}");
    }
    println!("{} backups stay; {} pieces and {} bytes are gone", pruned.kept.len(), pruned.pieces, pruned.bytes);
}

fn keys(folder: &Path) -> String {
    folder.join("keys").join("master.key").display().to_string()
}

/// Brings a backup back.
pub async fn restore(args: Restore) -> Result<()> {
    let config = settings::load(&args.common)?;
    let folder = config.global()?.data_dir;
    let until = args.at.as_deref().map(time).transpose()?;
    let secret = secret(&args.secret)?;
    // Read first: nothing is brought back for which it is not known who was erased.
    let erased = match args.erasures {
        Some(path) => Some(Ledger::at(path).read().map_err(backup::Error::from)?),
        None => None,
    };
    let known = erased.as_deref().unwrap_or_default();
    let restored = backup::restore_without(&args.folder, secret, args.id, until, &folder, known).await?;
    if erased.is_none() {
        eprintln!(
            "no ledger of erasures was named (--erasures): whoever was erased after {} is back, and is to be erased again",
            restored.taken_at
        );
    }
    if args.common.json {
        return output::json(&restored);
    }
    if let Some(erased) = erased {
        println!("{} erasures of the ledger hold in it", erased.len());
    }
    println!("{} is back in {}, as of {}", restored.id, folder.display(), restored.taken_at);
    println!("what happened after that instant is not; the vector store is built again at the next start");
    if let Some(fingerprint) = restored.needs_master_key {
        println!("before the start, put the master key ({fingerprint}) into {}", keys(&folder));
    }
    for name in restored.keys_to_come {
        println!("{name} was not in the backup: put it back before the start too, or a new one is made there");
    }
    Ok(())
}

/// Reads all backups, or one, and compares every byte with its digest.
pub async fn verify(args: VerifyBackup) -> Result<()> {
    let (verified, unused) =
        backup::verify(&args.folder, secret(&args.secret)?, args.id.clone(), args.newest.clone()).await?;
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
        eprintln!(
            "{unused} pieces belong to no backup, as after one that was cut off: `moneta prune-backups` removes them"
        );
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
