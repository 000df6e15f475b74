//! A process that changes its directory while a store is open. Alone in its binary, since the
//! directory is the whole process's.

use strongroom::{MasterKey, NewSecret, SecretStore, SecretValue};

#[test]
fn a_store_opened_by_a_relative_path_stays_where_it_is() {
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::env::set_current_dir(home.path()).unwrap();
    let key = || MasterKey::from_bytes(&std::array::from_fn(|at| at.to_le_bytes()[0])).unwrap();
    let store = SecretStore::builder().master_key(key()).create("store").unwrap();
    std::env::set_current_dir(elsewhere.path()).unwrap();
    store
        .create_secret(NewSecret::new("s".parse().unwrap(), SecretValue::from_string("x")))
        .unwrap();
    store.checkpoint().unwrap();
    store.close().unwrap();
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    let store = SecretStore::builder().master_key(key()).open(home.path().join("store")).unwrap();
    store.get(&"s".parse().unwrap()).unwrap();
}
