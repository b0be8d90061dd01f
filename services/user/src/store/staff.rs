//! Staff in the store: their accounts, the roles they wait for, and notes about clients.
use super::{Store, StoredAccount};
use crate::{Error, Result, account::Status};
use moneta_kit::{args, identity::Role, store::Tx};
use moneta_types::{Timestamp, UserId};

/// A role that waits for the word of a second admin.
#[derive(Debug, Clone)]
pub struct RoleRequest {
    /// The role.
    pub role: Role,
    /// Who asked for it.
    pub requested_by: UserId,
}

impl Store {
    /// Accounts of people who work for the house, oldest first, disabled ones included.
    pub async fn staff(&self) -> Result<Vec<StoredAccount>> {
        let all = self.accounts_where("status <> 'erased'").await?;
        Ok(all.into_iter().filter(|stored| !stored.account.roles.contains(&Role::Investor)).collect())
    }

    /// How many people have ever held the role of admin.
    pub async fn admins_ever(&self, tx: &mut Tx) -> Result<u64> {
        Ok(tx.fetch_one("SELECT COUNT(*) AS n FROM admins", args![]).await?.get("n")?)
    }

    /// Remembers that somebody holds the role of admin.
    pub async fn note_admin(&self, tx: &mut Tx, user: UserId, at: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO admins (user_id, granted) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING",
            args![user, at],
        )
        .await?;
        Ok(())
    }

    /// The roles that somebody waits for.
    pub async fn role_requests(&self, user: UserId) -> Result<Vec<RoleRequest>> {
        let rows = self
            .db
            .fetch_all("SELECT role, requested_by FROM role_requests WHERE user_id = $1 ORDER BY role", args![user])
            .await?;
        rows.iter()
            .map(|row| {
                let role = row.text("role")?;
                Ok(RoleRequest {
                    role: role.parse().map_err(|_| Error::Stored { column: "role", value: role })?,
                    requested_by: row.get("requested_by")?,
                })
            })
            .collect()
    }

    /// Asks for a role; who asked first stays the one who asked, and false says that somebody had.
    pub async fn request_role(&self, tx: &mut Tx, user: UserId, role: Role, by: UserId, at: Timestamp) -> Result<bool> {
        let added = tx
            .execute(
                "INSERT INTO role_requests (user_id, role, requested_by, requested) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (user_id, role) DO NOTHING",
                args![user, role.as_str(), by, at],
            )
            .await?;
        Ok(added > 0)
    }

    /// Takes back a request, whether it was granted or not.
    pub async fn drop_request(&self, tx: &mut Tx, user: UserId, role: Role) -> Result<()> {
        tx.execute("DELETE FROM role_requests WHERE user_id = $1 AND role = $2", args![user, role.as_str()]).await?;
        Ok(())
    }

    /// Writes the roles of an account that is in use.
    pub async fn set_roles(&self, tx: &mut Tx, user: UserId, roles: &[Role], at: Timestamp) -> Result<()> {
        let text: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let changed = tx
            .execute(
                "UPDATE accounts SET roles = $1 WHERE user_id = $2 AND status = 'active'",
                args![text.join(","), user],
            )
            .await?;
        if changed == 0 {
            return Err(Error::Locked);
        }
        if roles.contains(&Role::Admin) {
            self.note_admin(tx, user, at).await?;
        }
        Ok(())
    }

    /// Disables an account; false when it was not in use.
    pub async fn lock(&self, tx: &mut Tx, user: UserId) -> Result<bool> {
        tx.execute("DELETE FROM role_requests WHERE user_id = $1", args![user]).await?;
        let changed = tx
            .execute(
                "UPDATE accounts SET status = $1 WHERE user_id = $2 AND status = 'active'",
                args![Status::Locked.as_str(), user],
            )
            .await?;
        Ok(changed > 0)
    }

    /// Writes a password that its owner has chosen.
    pub async fn set_password(&self, tx: &mut Tx, user: UserId, hash: &str) -> Result<()> {
        let changed = tx
            .execute(
                "UPDATE accounts SET password_hash = $1, must_change_password = 0 WHERE user_id = $2 AND status = 'active'",
                args![hash, user],
            )
            .await?;
        if changed == 0 { Err(Error::SessionEnded) } else { Ok(()) }
    }

    /// Notes that a client is vulnerable, or no longer; the note's number.
    pub async fn note_vulnerability(
        &self,
        tx: &mut Tx,
        stored: &StoredAccount,
        (vulnerable, reason): (bool, &str),
        by: UserId,
        at: Timestamp,
    ) -> Result<u32> {
        let user = stored.account.user_id;
        let vault = stored.vault.as_ref().ok_or(Error::Erased)?;
        let row = tx
            .fetch_one(
                "SELECT COALESCE(MAX(position), 0) + 1 AS position FROM vulnerability_notes WHERE user_id = $1",
                args![user],
            )
            .await?;
        let position: u32 = row.get("position")?;
        let sealed = vault.seal(&note_field(position), reason)?;
        tx.execute(
            "INSERT INTO vulnerability_notes (user_id, position, vulnerable, reason_sealed, noted_by, noted) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            args![user, position, vulnerable, sealed, by, at],
        )
        .await?;
        tx.execute(
            "UPDATE accounts SET vulnerable = $1 WHERE user_id = $2 AND status = 'active'",
            args![vulnerable, user],
        )
        .await?;
        Ok(position)
    }

    /// What was noted of a client, oldest first: the state, why, and when.
    pub async fn vulnerability_notes(&self, stored: &StoredAccount) -> Result<Vec<(bool, String, Timestamp)>> {
        let Some(vault) = &stored.vault else { return Ok(Vec::new()) };
        let rows = self
            .db
            .fetch_all(
                "SELECT position, vulnerable, reason_sealed, noted FROM vulnerability_notes WHERE user_id = $1 \
                 ORDER BY position",
                args![stored.account.user_id],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let reason = match row.opt_blob("reason_sealed")? {
                    Some(sealed) => vault.unseal(&note_field(row.get("position")?), &sealed)?,
                    None => String::new(),
                };
                Ok((row.get("vulnerable")?, reason, row.get("noted")?))
            })
            .collect()
    }
}

fn note_field(position: u32) -> String {
    format!("vulnerability/{position}")
}
