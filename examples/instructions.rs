//! One kind of call, so many times: for counting instructions, which tells more on a noisy machine than
//! a clock does.
//!
//! `benches/instructions/run` runs this under callgrind with two counts and takes the difference.
//! Arguments: `get`, `put_version` or `rotate`, and how many calls.
#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

use std::{env, error::Error as StdError};

use strongroom::{
    MasterKey, NewSecret, NewVersion, SecretName, SecretStore, SecretType, SecretValue,
};

const SECRETS: usize = 64;
const VALUE: &str = r#"{"users":[{"name":"app","password":"abcdefghijklmnopqrstuvwx"}]}"#;

fn main() -> Result<(), Box<dyn StdError>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [call, count] = args.as_slice() else { return Err("call and count, please".into()) };
    let count: usize = count.parse()?;
    let dir = tempfile::tempdir()?;
    let key = MasterKey::from_bytes(&std::array::from_fn(|n| u8::try_from(n).unwrap_or_default()))?;
    let store = SecretStore::builder().master_key(key).create(dir.path().join("store"))?;
    let names = (0..SECRETS)
        .map(|number| format!("counted-service-{number:04}-database-password").parse())
        .collect::<Result<Vec<SecretName>, _>>()?;
    let new = |name: &SecretName| {
        NewSecret::new(name.clone(), SecretValue::from_string(VALUE)).secret_type(SecretType::RdsFg)
    };
    store.create_secrets(names.iter().map(new))?;
    for name in &names {
        store.rotate(name)?;
        store.get(name)?;
    }
    for name in names.iter().cycle().take(count) {
        match call.as_str() {
            "get" => drop(store.get(name)?),
            "put_version" => {
                let new = NewVersion::new(SecretValue::from_string(VALUE));
                drop(store.put_version(name, new)?);
            }
            "rotate" => drop(store.rotate(name)?),
            _ => return Err("there is get, put_version and rotate".into()),
        }
    }
    Ok(store.close()?)
}
