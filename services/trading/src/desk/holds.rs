//! The kill switch for one client is a hold of compliance's, so that money, orders, advice and erasure have one thing to ask and
//! one to release. Here the hold is placed and released on behalf of the person who turns the switch, and what compliance
//! tells of holds is taken in.
//!
//! An order that works when a hold comes is cancelled; what it has bought or sold by then stays booked.
use super::Desk;
use crate::{
    Result,
    controls::Scope,
    desk::gather::passed_on,
    store::{self, Hold},
};
use moneta_contracts::{
    compliance::{self as pb, ListHoldsRequest, PlaceHoldRequest, ReleaseHoldRequest},
    events::HoldPlaced,
};
use moneta_kit::{
    client::Call,
    problem::{Problem, parse},
};
use moneta_types::{HeldAction, HoldId, InternalNote, Timestamp, UserId};

/// What names the holds that the kill switch places.
const REFERENCE: &str = "kill_switch";

impl Desk {
    /// Engages or releases the kill switch for a client, at compliance. Without its answer nothing is engaged, and the caller is
    /// told so; orders are refused meanwhile, because compliance is asked for each.
    ///
    /// # Errors
    /// What compliance answers: who may not, a critical hold that needs another person, or that it does not answer.
    pub async fn set_client_stop(
        &self,
        call: &Call,
        client: UserId,
        engaged: bool,
        reason: &InternalNote,
    ) -> Result<(), Problem> {
        if engaged {
            let request = PlaceHoldRequest {
                user_id: client.to_string(),
                portfolio_id: String::new(),
                covers: HeldAction::ALL.iter().map(|action| action.as_str().to_owned()).collect(),
                severity: "standard".to_owned(),
                reason: reason.for_staff().to_owned(),
                client_text: String::new(),
                reference: REFERENCE.to_owned(),
            };
            let placed = self.directory.compliance().place_hold(call.request(request)).await;
            let placed = read(&placed.map_err(|status| passed_on(&status, "compliance"))?.into_inner())?;
            return self.take_hold(&placed).await.map_err(Problem::from);
        }
        // A switch that an older version engaged for a client stands here alone.
        let mut tx = self.db.begin().await.map_err(Problem::from)?;
        store::release(&mut tx, Scope::Client, &client.to_string()).await.map_err(Problem::from)?;
        tx.commit().await.map_err(Problem::from)?;
        let request = ListHoldsRequest {
            user_id: client.to_string(),
            status: "active".to_owned(),
            page: Some(Default::default()),
        };
        let standing = self.directory.compliance().list_holds(call.request(request)).await;
        let standing = standing.map_err(|status| passed_on(&status, "compliance"))?.into_inner().holds;
        for hold in standing.into_iter().filter(|hold| hold.reference == REFERENCE) {
            let id: HoldId = parse("hold_id", &hold.hold_id)?;
            let request = ReleaseHoldRequest { hold_id: hold.hold_id, reason: reason.for_staff().to_owned() };
            let released = self.directory.compliance().release_hold(call.request(request)).await;
            released.map_err(|status| passed_on(&status, "compliance"))?;
            let mut tx = self.db.begin().await.map_err(Problem::from)?;
            store::end_hold(&mut tx, id).await.map_err(Problem::from)?;
            tx.commit().await.map_err(Problem::from)?;
        }
        Ok(())
    }

    /// Takes a hold in: new orders are denied from its commit on, then working ones are cancelled. Repeated as a whole, it
    /// changes nothing.
    pub(crate) async fn take_hold(&self, hold: &Hold) -> Result<()> {
        let mut tx = self.db.begin().await?;
        store::keep_hold(&mut tx, hold).await?;
        tx.commit().await?;
        let standing = store::active_holds(&mut store::Reader::Committed(&self.db), Some(hold.owner)).await?;
        if standing.iter().any(|other| other.id == hold.id) {
            self.cancel_held(hold).await?;
        }
        Ok(())
    }
}

fn read(hold: &pb::Hold) -> Result<Hold, Problem> {
    Ok(Hold {
        id: parse("hold_id", &hold.hold_id)?,
        owner: parse("user_id", &hold.user_id)?,
        portfolio: if hold.portfolio_id.is_empty() { None } else { Some(parse("portfolio_id", &hold.portfolio_id)?) },
        client_text: parse("client_text", &hold.client_text)?,
        by: hold.placed_by.clone(),
        at: Timestamp::from_micros(hold.placed_micros),
    })
}

/// The hold of an event, when it covers orders.
pub(crate) fn of_event(event: &HoldPlaced, at: Timestamp) -> Result<Option<Hold>> {
    if !event.covers.iter().any(|action| action == HeldAction::Orders.as_str()) {
        return Ok(None);
    }
    Ok(Some(Hold {
        id: event.hold_id,
        owner: event.user_id,
        portfolio: event.portfolio_id,
        client_text: event.client_text.parse()?,
        by: event.by.clone(),
        at,
    }))
}
