//! Staff in the store: their accounts, the roles they wait for, and notes about clients.
use super::{Store, StoredAccount};
use crate::{Error, Result, account::Status};
use moneta_kit::{args, identity::Role, store::Tx};
use moneta_types::{InternalNote, Timestamp, UserId};

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
            .map(|row| Ok(RoleRequest { role: read_role(row.text("role")?)?, requested_by: row.get("requested_by")? }))
            .collect()
    }

    /// Roles that somebody has asked for and that nobody has granted yet, with whose they would be.
    pub async fn requests_by(&self, tx: &mut Tx, by: UserId) -> Result<Vec<(UserId, Role)>> {
        let sql = "SELECT user_id, role FROM role_requests WHERE requested_by = $1 ORDER BY user_id, role";
        let rows = tx.fetch_all(sql, args![by]).await?;
        rows.iter().map(|row| Ok((row.get("user_id")?, read_role(row.text("role")?)?))).collect()
    }

    /// Asks for a role; who asked first stays the one who asked while his account is in use, and false says that somebody
    /// had.
    pub async fn request_role(&self, tx: &mut Tx, user: UserId, role: Role, by: UserId, at: Timestamp) -> Result<bool> {
        let added = tx
            .execute(
                "INSERT INTO role_requests (user_id, role, requested_by, requested) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (user_id, role) DO UPDATE SET requested_by = excluded.requested_by, \
                 requested = excluded.requested \
                 WHERE role_requests.requested_by NOT IN (SELECT user_id FROM accounts WHERE status = 'active')",
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
        if changed == 0 {
            return Err(Error::SessionEnded);
        }
        self.end_one_time(tx, user).await
    }

    /// Writes a password that somebody else is told, roles, and that the account is in use; an erased one stays so.
    pub async fn renew(&self, tx: &mut Tx, user: UserId, hash: &str, roles: &[Role]) -> Result<()> {
        let text: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let changed = tx
            .execute(
                "UPDATE accounts SET password_hash = $1, must_change_password = 1, roles = $2, status = 'active' \
                 WHERE user_id = $3 AND status <> 'erased'",
                args![hash, text.join(","), user],
            )
            .await?;
        if changed == 0 { Err(Error::Erased) } else { Ok(()) }
    }

    /// Notes who was told an account's one-time password, and when, in real time, it ends.
    pub async fn issue_one_time(&self, tx: &mut Tx, user: UserId, by: &str, ends: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO one_time_passwords (user_id, issued_by, ends) VALUES ($1, $2, $3) \
             ON CONFLICT (user_id) DO UPDATE SET issued_by = excluded.issued_by, ends = excluded.ends",
            args![user, by, ends],
        )
        .await?;
        Ok(())
    }

    /// When an account's one-time password ends; nothing when it has none, or had one that was ended.
    pub async fn one_time_ends(&self, user: UserId) -> Result<Option<Timestamp>> {
        let sql = "SELECT ends FROM one_time_passwords WHERE user_id = $1";
        self.db.fetch_optional(sql, args![user]).await?.map(|row| Ok(row.get("ends")?)).transpose()
    }

    /// Whose one-time passwords somebody was told, while they are unchanged.
    pub async fn one_times_by(&self, tx: &mut Tx, by: &str) -> Result<Vec<UserId>> {
        let sql = "SELECT user_id FROM one_time_passwords WHERE issued_by = $1 ORDER BY user_id";
        tx.fetch_all(sql, args![by]).await?.iter().map(|row| Ok(row.get("user_id")?)).collect()
    }

    /// Ends an account's one-time password.
    pub async fn end_one_time(&self, tx: &mut Tx, user: UserId) -> Result<()> {
        tx.execute("DELETE FROM one_time_passwords WHERE user_id = $1", args![user]).await?;
        Ok(())
    }

    /// Notes that a client is vulnerable, or no longer; the note's number.
    pub async fn note_vulnerability(
        &self,
        tx: &mut Tx,
        stored: &StoredAccount,
        (vulnerable, reason): (bool, &InternalNote),
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
        let sealed = vault.seal(&note_field(position), reason.for_staff())?;
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

    /// When what was noted of a client, oldest first. Why is staff's alone, and is not read here.
    pub async fn vulnerability_notes(&self, user: UserId) -> Result<Vec<(bool, Timestamp)>> {
        let sql = "SELECT vulnerable, noted FROM vulnerability_notes WHERE user_id = $1 ORDER BY position";
        let rows = self.db.fetch_all(sql, args![user]).await?;
        rows.iter().map(|row| Ok((row.get("vulnerable")?, row.get("noted")?))).collect()
    }
}

fn read_role(name: String) -> Result<Role> {
    name.parse().map_err(|_| Error::Stored { column: "role", value: name })
}

fn note_field(position: u32) -> String {
    format!("vulnerability/{position}")
}
