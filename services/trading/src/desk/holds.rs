//! The kill switch for one client. It begins here, with what is up: a hold in our own store, and with it, in one transaction,
//! the event from which compliance makes the hold that also stops money, advice and erasure. Working orders are cancelled
//! at once, and again by the event's own consumer, in case the process dies before they are. Its end needs compliance's
//! answer, because only compliance may let a client go on.
use super::Desk;
use crate::{
    Result,
    controls::Scope,
    desk::{Stop, gather::passed_on},
    store::{self, Hold, Reader},
};
use moneta_contracts::{
    compliance::{ListHoldsRequest, PlaceHoldRequest, ReleaseHoldRequest},
    events::ClientStopChanged,
};
use moneta_kit::{
    client::{Call, every_page},
    problem::{Problem, parse},
    staff_note,
    store::Tx,
};
use moneta_types::{Cause, ClientText, HeldAction, HoldId, InternalNote, UserId};
use std::time::Duration;
use tonic::Code;

/// What names the holds that the kill switch places.
const REFERENCE: &str = "kill_switch";

/// How long compliance may take to answer before the person who pressed is answered without it.
const PATIENCE: Duration = Duration::from_secs(2);

impl Desk {
    /// Engages the kill switch for a client: new orders are denied from the commit on, working ones are cancelled, and then
    /// compliance is asked to place its hold; when it does not answer, the event tells it as soon as it is back. Pressed
    /// again, it looks for working orders again.
    ///
    /// # Errors
    /// When the store fails; when there is no such client, of whom nothing is stopped then; or when an order could not be
    /// cancelled yet, which is tried again until it is.
    pub async fn stop_client(
        &self,
        call: &Call,
        officer: &str,
        client: UserId,
        reason: &InternalNote,
    ) -> Result<(), Problem> {
        let Some((hold, new)) = self.engage(call.cause(), officer, client, reason).await? else { return Ok(()) };
        let cancelled = self.cancel_each(&Stop::Hold(hold.clone())).await;
        if new {
            self.ask_for_hold(call, &hold, reason).await?;
        }
        cancelled.map(|_| ()).map_err(Problem::from)
    }

    /// The hold that stands for the client's kill switch, and whether it is new; nothing when this is the repetition of a
    /// request whose hold was released since.
    async fn engage(
        &self,
        cause: Cause,
        officer: &str,
        client: UserId,
        reason: &InternalNote,
    ) -> Result<Option<(Hold, bool)>> {
        let mut tx = self.db.begin().await?;
        let standing = store::active_holds(&mut Reader::Within(&mut tx), Some(client)).await?;
        if let Some(standing) = standing.into_iter().find(|hold| hold.kill_switch) {
            return Ok(Some((standing, false)));
        }
        let hold = Hold {
            // As compliance derives the id of a hold from the request for it: asked directly and told by the event, it
            // places the same one.
            id: HoldId::from_uuid(cause.derive("hold")),
            owner: client,
            portfolio: None,
            client_text: ClientText::ContactUs,
            by: officer.to_owned(),
            at: self.clock.now(),
            kill_switch: true,
        };
        if !store::keep_hold(&mut tx, &hold).await? {
            return Ok(None);
        }
        self.tell_stop(&mut tx, &hold, true, reason, officer).await?;
        tx.commit().await?;
        Ok(Some((hold, true)))
    }

    async fn ask_for_hold(&self, call: &Call, hold: &Hold, reason: &InternalNote) -> Result<(), Problem> {
        let request = PlaceHoldRequest {
            user_id: hold.owner.to_string(),
            portfolio_id: String::new(),
            covers: HeldAction::ALL.iter().map(|action| action.as_str().to_owned()).collect(),
            severity: "standard".to_owned(),
            reason: reason.for_staff().to_owned(),
            client_text: hold.client_text.as_str().to_owned(),
            reference: REFERENCE.to_owned(),
        };
        let call = call.clone().deadline(PATIENCE);
        match self.directory.compliance().place_hold(call.request(request)).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => {
                let mut tx = self.db.begin().await.map_err(Problem::from)?;
                store::end_hold(&mut tx, hold.id, hold.owner).await.map_err(Problem::from)?;
                self.tell_stop(&mut tx, hold, false, reason, &hold.by).await.map_err(Problem::from)?;
                tx.commit().await.map_err(Problem::from)?;
                Err(passed_on(&status, "compliance"))
            }
            Err(status) => {
                tracing::warn!(%status, hold = %hold.id, "a client is stopped, and compliance is told as soon as it answers");
                Ok(())
            }
        }
    }

    /// Releases the kill switch for a client, at compliance first. Without its answer everything stays stopped, and the
    /// caller is told so.
    ///
    /// # Errors
    /// What compliance answers: who may not, a critical hold that needs another person, or that it does not answer.
    pub async fn release_client(
        &self,
        call: &Call,
        officer: &str,
        client: UserId,
        reason: &InternalNote,
    ) -> Result<(), Problem> {
        let released = self.release_at_compliance(call, client, reason).await?;
        Ok(self.disengage(client, &released, reason, officer).await?)
    }

    async fn release_at_compliance(
        &self,
        call: &Call,
        client: UserId,
        reason: &InternalNote,
    ) -> Result<Vec<HoldId>, Problem> {
        let mut compliance = self.directory.compliance();
        // Every page, and only then the first release: a release changes what the pages after it hold.
        let active = every_page(|page| {
            let (user_id, status) = (client.to_string(), "active".to_owned());
            let request = call.request(ListHoldsRequest { user_id, status, page: Some(page) });
            let mut compliance = compliance.clone();
            async move {
                let found = compliance.list_holds(request).await?.into_inner();
                Ok((found.holds, found.next_cursor))
            }
        });
        let active = active.await.map_err(|status| passed_on(&status, "compliance"))?;
        let switches = active.iter().filter(|hold| hold.reference == REFERENCE);
        let standing =
            switches.map(|hold| parse("hold_id", &hold.hold_id)).collect::<Result<Vec<HoldId>, Problem>>()?;
        for id in &standing {
            let request = ReleaseHoldRequest { hold_id: id.to_string(), reason: reason.for_staff().to_owned() };
            let released = compliance.release_hold(call.request(request)).await;
            released.map_err(|status| passed_on(&status, "compliance"))?;
        }
        Ok(standing)
    }

    /// Ends what stands for the client's kill switch here. Compliance may not have come to a hold of ours yet; the event
    /// follows the one that began it.
    async fn disengage(&self, client: UserId, released: &[HoldId], reason: &InternalNote, officer: &str) -> Result<()> {
        let mut tx = self.db.begin().await?;
        for id in released {
            store::end_hold(&mut tx, *id, client).await?;
        }
        for hold in store::active_holds(&mut Reader::Within(&mut tx), Some(client)).await? {
            if hold.kill_switch {
                store::end_hold(&mut tx, hold.id, client).await?;
                self.tell_stop(&mut tx, &hold, false, reason, officer).await?;
            }
        }
        // A switch that an older version engaged for a client stands here alone.
        store::release(&mut tx, Scope::Client, &client.to_string()).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn tell_stop(
        &self,
        tx: &mut Tx,
        hold: &Hold,
        engaged: bool,
        reason: &InternalNote,
        officer: &str,
    ) -> Result<()> {
        let event = ClientStopChanged {
            hold_id: hold.id,
            client_id: hold.owner,
            engaged,
            sealed_note: staff_note::seal(&self.context.keys, reason, hold.id, engaged).map_err(Problem::from)?,
            by: officer.to_owned(),
        };
        let cause = Cause::new(hold.id.uuid()).part(if engaged { "stop engaged" } else { "stop released" });
        tx.publish_as(&event, cause, officer, &self.clock).await?;
        Ok(())
    }
}
