use moneta_model_store::signing::*;
use std::path::PathBuf;
fn main() {
    let dir = PathBuf::from(std::env::args().nth(1).unwrap());
    let key = SigningKey::load_or_create(&dir.join("our-key.pem")).unwrap();
    std::fs::write(dir.join("our-pub.pem"), key.public_key().unwrap().pem()).unwrap();
    sign_directory(&dir.join("m"), &dir.join("m/model.sig"), &key).unwrap();
    let pem = std::fs::read_to_string(dir.join("ref-pub.pem")).unwrap();
    println!("{:?}", verify_directory(&dir.join("r"), &dir.join("r/model.sig"), &PublicKey::from_pem(&pem, "ref").unwrap()).map(|m| m.files.len()));
}
