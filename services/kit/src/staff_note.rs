//! Notes of staff on their way from one service to another. An event is kept for ever, in places where more people read than
//! the note is for; so it travels sealed, and only a process of the platform opens it.
use crate::keys::{Error, KeyRing};
use moneta_types::{HoldId, InternalNote};

const PURPOSE: &str = "staff notes";

/// Seals the note on a hold that begins or ends; hexadecimal.
pub fn seal(keys: &KeyRing, note: &InternalNote, hold: HoldId, begins: bool) -> Result<String, Error> {
    let sealed = keys.seal(&keys.purpose(PURPOSE), note.for_staff().as_bytes(), &bound_to(hold, begins))?;
    Ok(hex::encode(sealed))
}

/// Opens the note on a hold that begins or ends; one of another hold does not open.
pub fn open(keys: &KeyRing, sealed: &str, hold: HoldId, begins: bool) -> Result<InternalNote, Error> {
    let sealed = hex::decode(sealed).map_err(|_| Error::Sealed)?;
    let opened = keys.open(&keys.purpose(PURPOSE), &sealed, &bound_to(hold, begins))?;
    String::from_utf8(opened).map(InternalNote::stored).map_err(|_| Error::Sealed)
}

fn bound_to(hold: HoldId, begins: bool) -> Vec<u8> {
    format!("staff note/{hold}/{}", if begins { "begins" } else { "ends" }).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Cause;

    #[test]
    fn a_note_opens_on_its_own_hold_alone() {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyRing::load(folder.path(), None).unwrap();
        let hold = |name| HoldId::from_uuid(Cause::named(name).uuid());
        let note = InternalNote::read("reason", "SAR filed").unwrap();
        let sealed = seal(&keys, &note, hold("a"), true).unwrap();
        assert!(!sealed.contains(&hex::encode("SAR")));
        assert_eq!(open(&keys, &sealed, hold("a"), true).unwrap(), note);
        for (other, begins) in [("b", true), ("a", false)] {
            assert!(open(&keys, &sealed, hold(other), begins).is_err());
        }
    }
}
