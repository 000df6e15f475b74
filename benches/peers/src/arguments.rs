//! The command line.

use std::{path::PathBuf, time::Duration};

use crate::{Outcome, contestant::Entrant, stores, workload::WORKLOADS};

const USAGE: &str = "\
usage: strongroom-peers [options]
  --size N          how many secrets; may be given several times (default: 1000 10000)
  --seconds S       how long each is measured at each work, in slices of 0.3 s (default: 1.5)
  --sustained S     how long rotations go on without a pause (default: 20; 0: not at all)
  --only KEY,..     these contestants only
  --work KEY,..     this work only
  --cap KEY=N       leaves this contestant out where there are more secrets
  --out DIR         where peers.md and peers.svg go (default: results, beside the source)
  --dir DIR         where the stores are made: the disk that is measured (default: here)
  --smoke           200 secrets and a moment of each work: checks answers, measures nothing";

/// What `--work` knows besides the workloads.
pub const OPEN: &str = "open";
pub const SUSTAINED: &str = "sustained";

pub struct Arguments {
    pub sizes: Vec<usize>,
    pub slice: Duration,
    pub rounds: usize,
    pub sustained: Duration,
    pub out: Option<PathBuf>,
    pub dir: PathBuf,
    only: Option<Vec<String>>,
    works: Option<Vec<String>>,
    caps: Vec<(String, usize)>,
}

impl Arguments {
    pub fn parse(args: &[String]) -> Outcome<Self> {
        let mut parsed = Self {
            sizes: Vec::new(),
            slice: Duration::from_millis(300),
            rounds: 5,
            sustained: Duration::from_secs(20),
            out: Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/results"))),
            dir: PathBuf::from("."),
            only: None,
            works: None,
            caps: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--help" {
                return Err(USAGE.into());
            }
            if arg == "--smoke" {
                parsed.smoke();
                continue;
            }
            let value = args.next().ok_or_else(|| format!("{arg}: a value is missing\n{USAGE}"))?;
            parsed.option(arg, value).map_err(|err| format!("{arg} {value}: {err}\n{USAGE}"))?;
        }
        if parsed.sizes.is_empty() {
            parsed.sizes = vec![1_000, 10_000];
        }
        parsed.sizes.sort_unstable();
        Ok(parsed)
    }

    fn smoke(&mut self) {
        self.sizes = vec![200];
        (self.slice, self.rounds) = (Duration::from_millis(5), 1);
        self.sustained = Duration::from_millis(20);
        self.out = None;
    }

    fn option(&mut self, arg: &str, value: &str) -> Outcome<()> {
        match arg {
            "--size" => self.sizes.push(value.parse()?),
            "--seconds" => {
                let slices = value.parse::<f64>()? / self.slice.as_secs_f64();
                self.rounds = slices.round().max(1.0) as usize;
            }
            "--sustained" => self.sustained = Duration::try_from_secs_f64(value.parse()?)?,
            "--only" => self.only = Some(keys(value, &entrants())?),
            "--work" => self.works = Some(keys(value, &works())?),
            "--cap" => {
                let (key, cap) = value.split_once('=').ok_or("KEY=N is expected")?;
                keys(key, &entrants())?;
                self.caps.push((key.to_owned(), cap.parse()?));
            }
            "--out" => self.out = Some(value.into()),
            "--dir" => self.dir = value.into(),
            _ => return Err("there is no such option".into()),
        }
        Ok(())
    }

    pub fn works(&self, key: &str) -> bool {
        self.works.as_ref().is_none_or(|keys| keys.iter().any(|one| one == key))
    }

    /// Who takes part with so many secrets.
    pub fn entrants(&self, secrets: usize) -> Vec<&'static Entrant> {
        let named = |entrant: &&Entrant| {
            self.only.as_ref().is_none_or(|keys| keys.iter().any(|key| key == entrant.key))
        };
        let able = |entrant: &&Entrant| {
            !self.caps.iter().any(|(key, cap)| key == entrant.key && secrets > *cap)
        };
        stores::ALL.iter().filter(named).filter(able).collect()
    }

    /// For the report: what was asked for.
    pub fn describe(&self) -> String {
        let caps: Vec<_> =
            self.caps.iter().map(|(key, cap)| format!("{key} up to {cap} secrets")).collect();
        let caps = if caps.is_empty() { String::new() } else { format!(" {}.", caps.join(", ")) };
        format!(
            "Medians of {} rounds of {} ms, all contestants in turn; sustained: {} s each.{caps}",
            self.rounds,
            self.slice.as_millis(),
            self.sustained.as_secs_f64()
        )
    }
}

fn entrants() -> Vec<&'static str> {
    stores::ALL.iter().map(|entrant| entrant.key).collect()
}

fn works() -> Vec<&'static str> {
    let mut keys: Vec<_> = WORKLOADS.iter().map(|workload| workload.key).collect();
    keys.extend([OPEN, SUSTAINED]);
    keys.dedup();
    keys
}

fn keys(list: &str, known: &[&str]) -> Outcome<Vec<String>> {
    let keys: Vec<String> = list.split(',').map(str::to_owned).collect();
    match keys.iter().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("no {key:?}; there are {}", known.join(", ")).into()),
        None => Ok(keys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Outcome<Arguments> {
        Arguments::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_asked_for_is_understood_and_the_rest_refused() {
        let asked =
            parse("--size 500 --size 20 --seconds 3 --only fjall,log --work get --cap log=100");
        let asked = asked.unwrap();
        assert_eq!((asked.sizes.as_slice(), asked.rounds), ([20, 500].as_slice(), 10));
        assert!(asked.works("get") && !asked.works(OPEN));
        let keys =
            |secrets| asked.entrants(secrets).iter().map(|entrant| entrant.key).collect::<Vec<_>>();
        assert_eq!(keys(20), ["log", "fjall"]);
        assert_eq!(keys(500), ["fjall"]);
        assert!(parse("").unwrap().works(SUSTAINED));
        assert_eq!(parse("--smoke").unwrap().sizes, [200]);
        for wrong in ["--size", "--size x", "--only nobody", "--work play", "--cap log", "--fast 1"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
